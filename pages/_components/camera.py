"""A camera that takes many pictures in a row: shown in the browser, sent in batches, each after the last is stored."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import streamlit as st

MAX_SIDE = 640  # pixels, the longer side of what is sent
_BATCH = 10

_CSS = """
:host { display: block; font-family: var(--st-font); color: var(--st-text-color); }
video { width: min(100%, 480px); aspect-ratio: 4 / 3; object-fit: contain; background: #20252b; display: block;
  border-radius: var(--st-base-radius); }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin-top: 0.5rem; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); padding: 0.35rem 0.9rem; cursor: pointer; }
button.main { background: var(--st-primary-color); border-color: var(--st-primary-color);
  color: var(--st-background-color); }
button:disabled { opacity: 0.5; cursor: default; }
button:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px; }
.line { font-variant-numeric: tabular-nums; }
.wrong { color: var(--st-red-text-color); }
"""

_HTML = """
<video autoplay muted playsinline aria-label="Camera preview"></video>
<div class="row">
  <button type="button" class="open">Open camera</button>
  <button type="button" class="main take" disabled>Capture</button>
  <button type="button" class="halt" disabled>Stop</button>
  <span class="line" role="status"></span>
</div>
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const video = find("video"), open = find(".open"), take = find(".take"), halt = find(".halt"), line = find(".line");
  const state = (parentElement.darkroom ??= { stream: null, timer: 0, queue: [], taken: 0, waiting: "", number: 0 });
  const say = (text, wrong) => { line.textContent = text; line.className = wrong ? "line wrong" : "line"; };
  state.data = data;
  take.textContent = "Capture " + data.number + " images of " + data.label;

  const stop = () => {
    clearInterval(state.timer);
    state.timer = 0;
    halt.disabled = true;
    take.disabled = !state.stream;
  };
  const send = () => {
    if (state.waiting || !state.queue.length) return;
    if (state.timer && state.queue.length < data.batch) return;
    const images = state.queue.slice(0, data.batch);
    state.waiting = state.run + "-" + state.number++;
    setTriggerValue("frames", { id: state.waiting, label: state.label, run: state.run, images });
  };
  const grab = () => {
    if (!video.videoWidth) return;
    const scale = Math.min(1, data.max_side / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    state.queue.push(canvas.toDataURL("image/jpeg", 0.92).split(",")[1]);
    state.taken += 1;
    say(state.taken + " of " + state.goal + " taken");
    if (state.taken >= state.goal) stop();
    state.send();
  };
  state.send = send;

  if (state.waiting && data.stored === state.waiting) {
    state.queue.splice(0, data.batch);
    state.waiting = "";
    if (!state.queue.length && !state.timer) say(state.taken + " images of " + state.label + " stored");
  }
  send();

  open.onclick = async () => {
    try {
      state.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
    } catch (error) {
      const why = window.isSecureContext ? error.name : "a browser shows the camera only on localhost or over HTTPS";
      return say("There is no camera: " + why + ". Upload images instead.", true);
    }
    video.srcObject = state.stream;
    open.disabled = true;
    take.disabled = false;
    const gone = setInterval(() => {  // another page was opened: let go of the camera
      if (parentElement.isConnected) return;
      clearInterval(gone);
      clearInterval(state.timer);
      state.stream.getTracks().forEach((track) => track.stop());
    }, 500);
  };
  take.onclick = () => {
    Object.assign(state, { taken: 0, goal: data.number, label: data.label, run: Date.now().toString(36) });
    take.disabled = true;
    halt.disabled = false;
    state.timer = setInterval(grab, data.interval_ms);
    grab();
  };
  halt.onclick = () => { stop(); say(state.taken + " taken"); state.send(); };
}
"""

_component = st.components.v2.component("darkroom_camera", html=_HTML, css=_CSS, js=_JS)


def camera(
    label: str, number: int, interval_s: float, store: Callable[[str, str, list[tuple[str, bytes]]], None]
) -> None:
    """Draw the camera.

    Args:
        label: the class it takes pictures of.
        store: called with class, an id of the whole capture and (name, JPEG bytes) of each picture, batch by batch;
            before the page is drawn, as callbacks are.
    """
    key, stored = "camera", "camera-stored"

    def arrived() -> None:
        frames = st.session_state[key].frames
        if not frames or st.session_state.get(stored) == frames["id"]:
            return
        images = [(f"picture {place}", _decoded(text)) for place, text in enumerate(frames["images"], 1)]
        store(frames["label"], frames["run"], images)
        st.session_state[stored] = frames["id"]

    data = {
        "label": label,
        "number": number,
        "interval_ms": round(1000 * interval_s),
        "max_side": MAX_SIDE,
        "batch": _BATCH,
        "stored": st.session_state.get(stored, ""),
    }
    _component(data=data, key=key, on_frames_change=arrived)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
