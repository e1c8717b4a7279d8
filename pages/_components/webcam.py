"""The camera, live: frames go to the server one at a time, what the model sees is written over the moving image."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable

import streamlit as st

from core.inference.classifier import Classifier
from core.inference.live import VIEWERS

_KEY = "webcam"
_TICKET, _KEPT = "webcam-ticket", "webcam-kept"  # session: (version of the model, ticket), the frame kept last
_MOST_A_SECOND = 20  # frames: no eye reads faster, and a training run has use for the rest of the machine
_SENT_SIDE = 480  # pixels, the shorter side of the largest frame that is sent

_CSS = """
:host { display: block; font-family: var(--st-font); color: var(--st-text-color); }
.stage { position: relative; width: min(100%, 720px); background: #20252b; overflow: hidden; min-height: 9rem;
  border-radius: var(--st-base-radius); }
video { width: 100%; height: auto; display: block; }
.seen { position: absolute; border: 2px dashed #ffffffb0; box-sizing: border-box; pointer-events: none; }
.answer { position: absolute; left: 0; right: 0; bottom: 0; padding: 0.5rem 0.75rem; color: #ffffff;
  background: #10151be0; font-variant-numeric: tabular-nums; }
.words { font-size: 1.4rem; font-weight: 650; overflow-wrap: anywhere; line-height: 1.25; }
.hint { font-size: 0.9rem; }
.class { display: grid; grid-template-columns: minmax(0, 1fr) 6rem 4.2rem; gap: 0.5rem; align-items: center;
  font-size: 0.85rem; }
.class span:first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.class span:last-child { text-align: right; }
.track { height: 0.4rem; border-radius: 0.2rem; background: #ffffff40; overflow: hidden; }
.fill { height: 100%; background: #7cc0ec; }
.refused .fill { opacity: 0.5; }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin-top: 0.5rem; }
button, select { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); padding: 0.35rem 0.9rem; min-height: 2.5rem; }
select { background: var(--st-background-color); max-width: 100%; }
button { cursor: pointer; }
button.main { background: var(--st-primary-color); border-color: var(--st-primary-color);
  color: var(--st-background-color); }
button:disabled { opacity: 0.5; cursor: default; }
button:focus-visible, select:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.line { font-variant-numeric: tabular-nums; }
.wrong { color: var(--st-red-text-color); }
.spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
[hidden] { display: none; }
"""

_HTML = """
<div class="stage">
  <video autoplay muted playsinline aria-label="What the camera sees"></video>
  <div class="seen" hidden></div>
  <div class="answer" hidden>
    <div class="words"></div><div class="hint"></div><div class="classes"></div>
  </div>
</div>
<div class="row">
  <button type="button" class="main start">Start camera</button>
  <button type="button" class="halt" hidden>Stop</button>
  <button type="button" class="keep" hidden>Keep this frame</button>
  <select aria-label="Camera" hidden></select>
</div>
<div class="row"><span class="line"></span><span class="line wrong" role="alert"></span></div>
<div class="spoken" role="status"></div>
"""

_JS = """
const REFUSED = {
  NotAllowedError: "The camera is not allowed here. Allow it by the sign beside the address, then start it again.",
  NotFoundError: "This device has no camera.",
  NotReadableError: "Another program is using the camera. Close it, then start the camera again.",
};
const INSECURE = "Browsers give the camera only to pages of this machine (localhost) or over HTTPS."
  + " Open Darkroom by an https address, or upload photos instead.";
const percent = (share) => (100 * share).toFixed(1) + " %";
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text ?? "";
  return element;
};

function begin(state, root) {
  const find = (selector) => root.querySelector(selector);
  const stage = find(".stage");
  const video = find("video"), seen = find(".seen"), over = find(".answer"), words = find(".words");
  const hint = find(".hint"), classes = find(".classes"), start = find(".start"), halt = find(".halt");
  const keep = find(".keep"), cameras = find("select"), [line, wrong] = root.querySelectorAll(".line");
  const spoken = find(".spoken"), canvas = document.createElement("canvas");
  const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

  const picture = (shorter, quality) => {
    const scale = Math.min(1, shorter / Math.min(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
  };

  const show = (answer) => {
    const [likeliest, share] = answer.top[0];
    const strange = answer.familiar === false, sure = answer.sure && !strange;
    words.textContent = sure ? likeliest + " " + percent(share) : strange ? "Unlike its own images" : "Not sure";
    hint.textContent = sure ? "" : likeliest + " is likeliest, with " + percent(share) + ".";
    over.className = sure ? "answer" : "answer refused";
    classes.replaceChildren(...answer.top.map(([label, part]) => {
      const track = make("span", "track"), fill = make("div", "fill"), row = make("div", "class");
      fill.style.width = 100 * part + "%";
      track.append(fill);
      row.append(make("span", "", label), track, make("span", "", percent(part)));
      return row;
    }));
    over.hidden = false;
    const now = performance.now(), said = sure ? likeliest : words.textContent;
    if (said !== state.said && now - state.said_at > 2000) {  // ten a second would drown a screen reader
      [state.said, state.said_at, spoken.textContent] = [said, now, said];
    }
  };

  const count = (began) => {
    const now = performance.now();
    state.frames += 1;
    state.recent.push([now, now - began]);
    while (state.recent.length > 60 || now - state.recent[0][0] > 3000) state.recent.shift();
    stage.dataset.frames = state.frames;
    if (state.recent.length < 3 || now - state.counted_at < 500) return;
    state.counted_at = now;
    const rate = 1000 * (state.recent.length - 1) / (now - state.recent[0][0]);
    const late = state.recent.map((one) => one[1]).sort((a, b) => a - b)[state.recent.length >> 1];
    stage.dataset.rate = rate;
    stage.dataset.late = late;
    line.textContent = rate.toFixed(1) + " frames per second, " + Math.round(late) + " ms from camera to answer";
  };

  const frame = (data) => {  // the part of the picture the model is given
    const { videoWidth: width, videoHeight: height } = video, side = Math.min(width, height);
    seen.hidden = data.resize !== "crop" || width === height;
    Object.assign(seen.style, {
      width: 100 * side / width + "%", height: 100 * side / height + "%",
      left: 50 * (1 - side / width) + "%", top: 50 * (1 - side / height) + "%",
    });
  };

  const exchange = async (data) => {
    const began = performance.now(), blob = await picture(data.side, 0.85);
    const reply = await fetch("/live/" + data.ticket, {
      method: "POST", body: blob, headers: { "Content-Type": "image/jpeg" }, signal: AbortSignal.timeout(15000),
    });
    const answer = await reply.json();
    if (state.data.ticket !== data.ticket) return;  // another model was chosen meanwhile
    if (reply.ok) {
      show(answer);
      count(began);
      wrong.textContent = "";
    } else if (reply.status === 404) {
      state.stale = data.ticket;
      state.renew(data.ticket);
    } else if (reply.status === 429) {
      await pause(100);
    } else {
      wrong.textContent = [answer.error, answer.fix].join(" ");
      await pause(1000);
    }
  };

  const follow = async (stream) => {
    while (state.stream === stream) {
      const began = performance.now(), data = state.data;
      if (!root.isConnected) return stop("");
      if (!video.videoWidth || state.stale === data.ticket) {
        await pause(50);
        continue;
      }
      frame(data);
      try {
        await exchange(data);
      } catch {
        if (state.stream !== stream) return;
        wrong.textContent = "The connection to the server was lost; trying again.";
        await pause(1000);
      }
      await pause(Math.max(0, 1000 / data.most_a_second - (performance.now() - began)));
    }
  };

  const stop = (why) => {
    if (!state.stream) return;
    state.stream.getTracks().forEach((track) => track.stop());
    [state.stream, state.recent, video.srcObject] = [null, [], null];
    for (const element of [halt, keep, over, seen, cameras]) element.hidden = true;
    start.hidden = false;
    line.textContent = why;
    spoken.textContent = why;
  };

  const open = async (which) => {
    const ask = ++state.asked;
    stop("");
    [line.textContent, wrong.textContent] = ["Waiting for the camera", ""];
    let stream;
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
      const wanted = which ? { deviceId: { exact: which } } : { facingMode: "environment" };
      stream = await navigator.mediaDevices.getUserMedia({
        video: { ...wanted, width: { ideal: 640 }, height: { ideal: 480 } }, audio: false,
      });
    } catch (error) {
      line.textContent = "";
      wrong.textContent = !window.isSecureContext ? INSECURE
        : REFUSED[error.name] ?? "There is no camera (" + error.name + ").";
      return;
    }
    if (ask !== state.asked || document.hidden || !root.isConnected) {  // stopped or left while the browser was asking
      return stream.getTracks().forEach((track) => track.stop());
    }
    Object.assign(state, { stream, frames: 0, recent: [], counted_at: 0, said: "", said_at: -9e9 });
    video.srcObject = stream;
    [start.hidden, halt.hidden, keep.hidden] = [true, false, false];
    const [track] = stream.getVideoTracks();
    track.onended = () => state.stream === stream && stop("The camera was taken away.");
    const found = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput");
    const options = found.map((one, place) => new Option(one.label || "Camera " + (place + 1), one.deviceId));
    cameras.replaceChildren(...options);
    cameras.value = track.getSettings().deviceId ?? "";
    cameras.hidden = found.length < 2 || state.stream !== stream;
    follow(stream);
  };

  start.onclick = () => open("");
  cameras.onchange = () => open(cameras.value);
  halt.onclick = () => { state.asked++; stop("Stopped."); };
  keep.onclick = async () => {
    const blob = await picture(Infinity, 0.95), reader = new FileReader();
    reader.onload = () => state.kept({ id: Date.now().toString(36), image: reader.result.split(",")[1] });
    reader.readAsDataURL(blob);
  };
  const hide = () => document.hidden && stop("Stopped while this tab was hidden.");
  document.addEventListener("visibilitychange", hide);
  const gone = setInterval(() => {  // another page was opened: let go of the camera
    if (root.isConnected) return;
    clearInterval(gone);
    document.removeEventListener("visibilitychange", hide);
    state.asked++;
    stop("");
    delete root.darkroom;
  }, 500);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const fresh = !parentElement.darkroom, state = (parentElement.darkroom ??= { stream: null, asked: 0 });
  Object.assign(state, {
    data,
    kept: (frame) => setTriggerValue("kept", frame),
    renew: (ticket) => setTriggerValue("stale", ticket),
  });
  if (fresh) begin(state, parentElement);
}
"""

_component = st.components.v2.component("darkroom_webcam", html=_HTML, css=_CSS, js=_JS)


def webcam(classifier: Classifier, version: str, keep: Callable[[str, bytes], None]) -> None:
    """Draw the camera. Nothing it sees is stored, but for frames somebody asks to keep.

    Args:
        version: text that changes when the model does.
        keep: called with a name and the JPEG bytes of such a frame, at the camera's own size; before the page is
            drawn, as callbacks are.
    """

    def asked() -> None:
        kept = st.session_state[_KEY].kept
        if kept and kept["id"] != st.session_state.get(_KEPT):
            st.session_state[_KEPT] = kept["id"]
            keep(f"frame-{time.strftime('%Y%m%d-%H%M%S')}-{kept['id'][-3:]}.jpg", _decoded(kept["image"]))

    _, ticket = st.session_state.get(_TICKET, ("", ""))
    if (version, ticket) != st.session_state.get(_TICKET) or not VIEWERS.knows(ticket):
        VIEWERS.dismiss(ticket)
        ticket = VIEWERS.admit(classifier)
        st.session_state[_TICKET] = (version, ticket)
    data = {
        "ticket": ticket,
        "side": min(2 * classifier.spec.size, _SENT_SIDE),
        "resize": classifier.spec.resize,
        "most_a_second": _MOST_A_SECOND,
    }
    _component(data=data, key=_KEY, on_kept_change=asked, on_stale_change=lambda: None)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
