"use strict";
// What keys, pads, a gamepad and a tilted phone say, as six parts of full speed and a dead-man.
const Hands = (() => {
  const KEYS = {
    KeyW: [0, 1], KeyS: [0, -1], KeyA: [1, 1], KeyD: [1, -1], KeyQ: [2, 1], KeyE: [2, -1],
    ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [1, 1], ArrowRight: [1, -1],
    PageUp: [2, 1], PageDown: [2, -1],
    KeyU: [3, 1], KeyO: [3, -1], KeyI: [4, 1], KeyK: [4, -1], KeyJ: [5, 1], KeyL: [5, -1],
  };
  const DEAD_ZONE = 0.12;
  const down = new Set();
  const pads = new Map();
  let closed = false, toggledAt = 0, fresh = false, tilt = null, told = () => {}, padDown = [];

  const shaped = (x) => {
    const size = Math.min(Math.max((Math.abs(x) - DEAD_ZONE) / (1 - DEAD_ZONE), 0), 1);
    return Math.sign(x) * size * size;
  };

  function gamepad(speed, press) {
    const pad = [...(navigator.getGamepads ? navigator.getGamepads() : [])].find((p) => p && p.mapping === "standard");
    if (!pad) return null;
    const now = pad.buttons.map((b) => b.pressed);
    const fresh = (i) => now[i] && !padDown[i];
    if (fresh(0)) toggle();
    const commands = { 1: "failure", 2: "discard", 3: "success", 5: "run_policy", 8: "emergency_stop", 9: "start" };
    for (const [i, name] of Object.entries(commands)) if (fresh(i)) press(name);
    padDown = now;
    if (!now[4]) return null;
    const [lx, ly, rx, ry] = pad.axes.map(shaped);
    const cross = (i) => (now[i] ? 1 : 0);
    return [-ly, -lx, -ry, cross(15) - cross(14), cross(12) - cross(13), -rx].map((x) => x * speed);
  }

  function toggle() {
    closed = !closed;
    toggledAt = performance.now();
    fresh = true;
    told();
    return closed;
  }

  function key(event, isDown) {
    if (!(event.code in KEYS)) return false;
    if (isDown) down.add(event.code); else down.delete(event.code);
    if (!event.repeat) told();
    return true;
  }

  function pad(element) {
    const set = (event) => {
      const box = element.getBoundingClientRect();
      let x = ((event.clientX - box.left) / box.width) * 2 - 1;
      let y = 1 - ((event.clientY - box.top) / box.height) * 2;
      const length = Math.hypot(x, y);
      if (length > 1) { x /= length; y /= length; }
      pads.set(element, [x, y]);
      element.firstElementChild.style.transform = `translate(calc(-50% + ${x * 90}%), calc(-50% + ${-y * 90}%))`;
      told();
    };
    const release = () => {
      pads.delete(element);
      element.classList.remove("held");
      element.firstElementChild.style.transform = "";
      told();
    };
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      element.classList.add("held");
      set(event);
    });
    element.addEventListener("pointermove", (event) => pads.has(element) && set(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) element.addEventListener(name, release);
  }

  function tilting(button) {
    if (!("DeviceOrientationEvent" in window) || !matchMedia("(pointer: coarse)").matches) return;
    button.hidden = false;
    let start = null;
    const listen = (event) => {
      if (event.beta === null) return;
      start = start || [event.beta, event.gamma];
      tilt = [start[0] - event.beta, start[1] - event.gamma].map((x) => Math.max(-1, Math.min(1, x / 30)));
      told();
    };
    button.addEventListener("pointerdown", async (event) => {
      button.setPointerCapture(event.pointerId);
      if (DeviceOrientationEvent.requestPermission) await DeviceOrientationEvent.requestPermission();
      start = null; tilt = [0, 0];
      window.addEventListener("deviceorientation", listen);
    });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(name, () => { tilt = null; window.removeEventListener("deviceorientation", listen); told(); });
    }
  }

  function read(speed, press) {
    const v = [0, 0, 0, 0, 0, 0];
    let active = false;
    for (const code of down) { const [axis, sign] = KEYS[code]; v[axis] += sign * speed; active = true; }
    for (const [element, [x, y]] of pads) {
      active = true;
      if (element.id === "pad_left") { v[0] += shaped(y) * speed; v[1] -= shaped(x) * speed; }
      else { v[2] += shaped(y) * speed; v[5] -= shaped(x) * speed; }
    }
    if (tilt) { active = true; v[0] += shaped(tilt[0]) * speed; v[1] += shaped(tilt[1]) * speed; }
    const stick = gamepad(speed, press);
    if (stick) { active = true; stick.forEach((x, i) => { v[i] += x; }); }
    return { active, velocity: v.map((x) => Math.max(-1, Math.min(1, x))), gripper: closed ? 1 : 0 };
  }

  return {
    key, pad, tilting, read, toggle,
    letGo: () => { down.clear(); pads.clear(); tilt = null; },
    onChange: (f) => { told = f; },
    // What was pressed a moment ago counts more than what the arm was last told.
    toggled: () => { const was = fresh; fresh = false; return was; },
    adopt: (x) => { if (performance.now() - toggledAt > 700) closed = x; },
    get closed() { return closed; },
  };
})();
