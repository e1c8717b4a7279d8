"""Sends an archive from the browser straight to the server's disk, shows how far it is, and says when it is there."""

from __future__ import annotations

import streamlit as st

from core.data.archives import Limits
from core.data.sources import ARCHIVE_ENDINGS
from core.data.uploads import MAX_BYTES, issue_ticket
from core.wording import bytes_size, count
from core.workspace import Workspace

_TICKET = "upload-ticket"
_TAKEN = f"A .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz of up to {bytes_size(MAX_BYTES)}"
_DATASET = (
    f"{_TAKEN}, laid out as a folder would be or with a CSV file of paths and labels. It goes straight to disk; up to "
    f"{count(Limits().num_files, 'file')} are unpacked in the background, and nothing is stored before you have seen "
    "what was found."
)
TO_CLASSIFY = (
    f"{_TAKEN}. It goes straight to disk, and its images are unpacked and classified in the background; they are "
    "forgotten after a day."
)

_CSS = """
:host { display: block; }
.drop { border: 1px dashed var(--st-border-color); border-radius: var(--st-base-radius); padding: 1rem;
  color: var(--st-text-color); font-family: var(--st-font); font-size: 0.95rem; }
.drop.over { border-color: var(--st-primary-color); }
label { display: block; font-weight: 600; margin-bottom: 0.5rem; }
input { font: inherit; color: inherit; max-width: 100%; }
input::file-selector-button { font: inherit; color: inherit; background: none; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-base-radius); padding: 0.35rem 0.85rem;
  margin-right: 0.75rem; }
input::file-selector-button:hover { border-color: var(--st-primary-color); }
input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
progress { width: 100%; accent-color: var(--st-primary-color); }
.line { margin-top: 0.5rem; font-variant-numeric: tabular-nums; }
.wrong { color: var(--st-red-text-color); }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); padding: 0.25rem 0.75rem; cursor: pointer; }
[hidden] { display: none; }
"""

_HTML = """
<div class="drop">
  <label for="file">Archive</label>
  <input type="file" id="file">
  <progress max="1" value="0" aria-label="Sent" hidden></progress>
  <div class="line" role="status"></div>
  <button type="button" hidden>Cancel</button>
</div>
"""

_JS = """
const asSize = (bytes) => bytes < 1e6 ? Math.ceil(bytes / 1e3) + " kB"
  : bytes < 1e9 ? (bytes / 1e6).toFixed(1) + " MB" : (bytes / 1e9).toFixed(2) + " GB";

export default function ({ data, parentElement, setTriggerValue }) {
  const drop = parentElement.querySelector(".drop");
  const input = drop.querySelector("input"), bar = drop.querySelector("progress");
  const line = drop.querySelector(".line"), cancel = drop.querySelector("button");
  const used = drop.dataset.ticket && drop.dataset.ticket !== data.ticket;
  drop.dataset.ticket = data.ticket;
  input.accept = data.endings.join(",");

  const say = (text, wrong) => { line.textContent = text; line.className = wrong ? "line wrong" : "line"; };
  const rest = (text, wrong) => {
    say(text, wrong);
    input.hidden = false; bar.hidden = true; cancel.hidden = true; input.value = "";
  };
  if (used) rest(line.textContent);  // what was sent has been taken: the next file may come
  const send = (file) => {
    if (!data.endings.some((ending) => file.name.toLowerCase().endsWith(ending))) {
      return rest(file.name + " is no archive: it should end in " + data.endings.join(", ") + ".", true);
    }
    if (file.size > data.max_bytes) return rest(file.name + " is larger than " + asSize(data.max_bytes) + ".", true);
    const request = new XMLHttpRequest(), began = performance.now();
    input.hidden = true; bar.hidden = false; cancel.hidden = false; bar.value = 0;
    say("Sending " + file.name);
    request.upload.onprogress = (event) => {
      const seconds = (performance.now() - began) / 1000, rate = event.loaded / Math.max(seconds, 0.1);
      bar.value = event.loaded / Math.max(file.size, 1);
      say(asSize(event.loaded) + " of " + asSize(file.size) + ", " + asSize(rate) + "/s");
    };
    request.onload = () => {
      if (request.status === 200) {
        say("Sent " + file.name + ".");
        return setTriggerValue("sent", drop.dataset.ticket);
      }
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* not ours */ }
      rest([answer.error || "The server answered " + request.status + ".", answer.fix || ""].join(" "), true);
    };
    request.onerror = () => rest("The connection was lost. Choose the file again.", true);
    request.onabort = () => rest("Cancelled; nothing was kept.");
    cancel.onclick = () => request.abort();
    request.open("POST", "/upload/" + drop.dataset.ticket + "?name=" + encodeURIComponent(file.name));
    request.send(file);
  };
  input.onchange = () => { if (input.files.length) send(input.files[0]); };
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  };
}
"""

_component = st.components.v2.component("darkroom_upload", html=_HTML, css=_CSS, js=_JS)


def upload_archive(workspace: Workspace, about: str = _DATASET) -> str | None:
    """Draw the upload; gives the ticket of a file that has just arrived (see `core.data.uploads`), else None.

    Args:
        about: what becomes of it, said above the box.
    """
    if _TICKET not in st.session_state:
        st.session_state[_TICKET] = issue_ticket(workspace)
    st.caption(about)
    data = {"ticket": st.session_state[_TICKET], "endings": list(ARCHIVE_ENDINGS), "max_bytes": MAX_BYTES}
    sent = _component(data=data, key="upload-archive", on_sent_change=lambda: None).sent
    if sent:
        del st.session_state[_TICKET]  # it is used up
    return sent
