"use strict";
const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const BUTTONS = ["start", "success", "failure", "stop", "discard", "undo", "reset", "run_policy", "stop_policy", "release"];
const SHORTCUTS = { Enter: "start", KeyY: "success", KeyN: "failure", KeyT: "stop", KeyX: "discard", KeyZ: "undo", Digit0: "reset" };
const SEND_MS = 33, PING_MS = 500;
let socket = null, state = null, cameras = [], wasActive = false, shownMessage = 0, refused = "";

function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}
const press = (name) => send({ type: "command", name });

function sendControls(always) {
  const said = Hands.read($("speed").value / 100, press);
  const toggled = Hands.toggled();
  const touched = said.active || toggled;
  if (!touched && !wasActive && !always) return;
  const message = { type: "controls", active: said.active, velocity: said.velocity };
  if (toggled) message.gripper = said.gripper;
  wasActive = said.active;
  send(message);
}

function note(level, text) {
  const item = document.createElement("li");
  item.className = level;
  item.textContent = text;
  $("log").querySelector("ul").prepend(item);
  while ($("log").querySelectorAll("li").length > 40) $("log").querySelector("ul").lastChild.remove();
}

function banner(text, release) {
  $("banner").hidden = !text;
  $("banner").firstElementChild.textContent = text;
  $("release").hidden = !release;
}

function connect() {
  if (!token) { banner("no token: open the address that the terminal shows", false); return; }
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.binaryType = "blob";
  socket.onopen = () => send({ type: "hello", token });
  socket.onmessage = (event) => (typeof event.data === "string" ? take(JSON.parse(event.data)) : picture(event.data));
  socket.onclose = (event) => {
    Hands.letGo();
    state = null;
    $("phase").textContent = "not connected";
    $("phase").className = "chip stopped";
    if (event.code >= 4400) { banner(event.reason, false); note("error", event.reason); return; }
    banner("the connection is lost: the arm holds", false);
    setTimeout(connect, 1000);
  };
}

function take(message) {
  if (message.type === "welcome") welcome(message);
  else if (message.type === "state") { state = message; show(); }
  else if (message.type === "pong") $("rtt").textContent = (performance.now() - message.t).toFixed(0);
  else if (message.type === "message") note(message.level, message.text);
}

function welcome(about) {
  banner("", false);
  cameras = about.cameras;
  $("robot").textContent = about.robot;
  $("cameras").replaceChildren(...cameras.map((name) => {
    const figure = document.createElement("figure");
    figure.className = "camera";
    figure.innerHTML = '<img alt=""><svg viewBox="0 0 1 1" preserveAspectRatio="none"></svg><figcaption></figcaption>';
    figure.querySelector("img").alt = `camera ${name}`;
    figure.querySelector("figcaption").textContent = name;
    return figure;
  }));
  $("help").querySelector("dl").replaceChildren(...about.help.flatMap(([control, what]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = control; dd.textContent = what;
    return [dt, dd];
  }));
}

async function picture(blob) {
  const index = new Uint8Array(await blob.slice(0, 1).arrayBuffer())[0];
  const image = $("cameras").children[index]?.querySelector("img");
  if (!image) return;
  const url = URL.createObjectURL(new Blob([blob.slice(1)], { type: "image/jpeg" }));
  image.onload = () => {
    image.closest("figure").style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
    URL.revokeObjectURL(url);
  };
  image.src = url;
}

function show() {
  const s = state, phase = $("phase");
  phase.textContent = s.phase === "intervention" ? "you drive" : s.phase;
  phase.className = `chip ${s.phase}`;
  document.body.dataset.phase = s.phase;
  $("who").hidden = s.drives && s.driver !== "policy";
  $("who").textContent = s.drives ? "policy drives" : "watching";
  $("rate").textContent = s.rate_hz.toFixed(0);
  banner(s.stopped ? `${s.stopped}: the arm holds` : s.problem ? `the arm cannot be seen: ${s.problem}` : "", Boolean(s.stopped));
  $("clock").textContent = s.recording ? `episode ${s.next_episode} · ${s.steps} steps · ${s.seconds.toFixed(1)} s` : s.records ? `next: episode ${s.next_episode}` : "nothing is recorded";
  $("solved").hidden = !s.solved;
  if (document.activeElement !== $("task")) $("task").value = s.task;
  const free = s.drives && !s.stopped;
  $("start").disabled = !free || s.recording || !s.records;
  for (const id of ["success", "failure", "stop", "discard"]) $(id).disabled = !s.drives || !s.recording;
  $("undo").disabled = !s.drives || s.recording || !s.kept.length;
  $("reset").disabled = !free || s.recording;
  $("task").disabled = !s.drives || s.recording;
  $("policy").hidden = !s.policy.there;
  $("run_policy").disabled = !free || s.policy.runs;
  $("stop_policy").disabled = !s.drives || !s.policy.runs;
  if (s.policy.there) showPolicy(s.policy);
  Hands.adopt(s.closed);
  $("gripper").classList.toggle("closed", Hands.closed);
  $("gripper").textContent = s.gripper === null ? "gripper" : `gripper ${Math.round(100 * s.gripper)} %`;
  $("position").textContent = s.position ? `x ${s.position[0].toFixed(3)}  y ${s.position[1].toFixed(3)}  z ${s.position[2].toFixed(3)} m` : "";
  $("reasons").textContent = s.reasons.join(", ");
  showJoints(s.joints);
  showEpisodes(s);
  showPaths(s.paths);
  for (const m of s.messages) if (m.number > shownMessage) { shownMessage = m.number; note(m.level, m.text); }
}

function showPolicy(policy) {
  const parts = [];
  if (policy.planning_ms !== null) parts.push(`plan ${policy.planning_ms} ms`);
  if (policy.value !== null) parts.push(`value ${policy.value}`);
  if (policy.candidates) parts.push(`${policy.candidates} candidates`);
  $("policy_state").textContent = policy.fault || parts.join(" · ");
}

function showJoints(joints) {
  const box = $("joints");
  if (box.children.length !== joints.length) {
    box.replaceChildren(...joints.map((joint) => {
      const row = document.createElement("div");
      row.className = "joint";
      row.innerHTML = "<span></span><i></i><span></span>";
      row.firstChild.textContent = joint.name;
      return row;
    }));
  }
  joints.forEach((joint, i) => {
    const row = box.children[i];
    row.children[1].style.setProperty("--at", `${100 * (joint.value - joint.low) / (joint.high - joint.low)}%`);
    row.children[2].textContent = joint.value.toFixed(2);
  });
}

let listed = "";
function showEpisodes(s) {
  $("count").textContent = s.kept.length ? `${s.kept.length} of this session` + (s.waiting ? `, ${s.waiting} being written` : "") : "none yet";
  const key = JSON.stringify(s.kept); // no more: a list made anew swallows the click that is under way
  if (key === listed) return;
  listed = key;
  $("episodes").querySelector("ol").replaceChildren(...[...s.kept].reverse().map((episode) => {
    const item = document.createElement("li");
    const hand = episode.interventions ? `, ${episode.interventions} by hand` : "";
    item.innerHTML = "<span></span><span></span><button>play</button>";
    item.children[0].textContent = `${episode.number}`;
    item.children[1].textContent = `${episode.steps} steps${hand} · ${episode.success === "yes" ? "success" : episode.success === "no" ? "failure" : "no outcome"}`;
    item.children[1].className = episode.success;
    item.children[2].onclick = () => play(episode.number);
    return item;
  }));
}

function showPaths(paths) {
  cameras.forEach((name, i) => {
    const svg = $("cameras").children[i]?.querySelector("svg");
    if (!svg) return;
    const lines = (paths[name] || []).map((points, n) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      line.setAttribute("points", points.filter((p) => p[0] >= -0.5 && p[1] >= -0.5).map((p) => p.join(",")).join(" "));
      if (n === 0) line.setAttribute("class", "chosen");
      return line;
    });
    svg.replaceChildren(...lines.reverse());
  });
}

async function play(number) {
  const answer = await fetch(`/episodes/${number}`, { headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) { note("warning", await answer.text()); return; }
  $("player").querySelector("iframe").srcdoc = await answer.text();
  $("player").showModal();
}

function typing(event) { return event.target.tagName === "INPUT" && event.target.type !== "range"; }

addEventListener("keydown", (event) => {
  if (event.code === "Escape") { if (!$("player").open) press("emergency_stop"); return; }
  if (typing(event)) { if (event.code === "Enter") event.target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || $("player").open) return;
  if (event.code === "Space") { if (!event.repeat) Hands.toggle(); event.preventDefault(); return; }
  if (Hands.key(event, true)) { event.preventDefault(); return; }
  if (event.repeat) return;
  if (event.code === "KeyP" && state) press(state.policy.runs ? "stop_policy" : "run_policy");
  else if (event.code in SHORTCUTS) { press(SHORTCUTS[event.code]); event.preventDefault(); }
});
addEventListener("keyup", (event) => Hands.key(event, false));
for (const name of ["blur", "pagehide"]) addEventListener(name, () => { Hands.letGo(); sendControls(true); });
document.addEventListener("visibilitychange", () => { if (document.hidden) { Hands.letGo(); sendControls(true); } });
for (const id of BUTTONS) $(id).addEventListener("click", (event) => { press(id); event.target.blur(); });
$("estop").addEventListener("click", () => press("emergency_stop"));
$("gripper").addEventListener("click", (event) => { Hands.toggle(); event.target.blur(); });
$("task").addEventListener("change", (event) => send({ type: "task", text: event.target.value }));
$("close").addEventListener("click", () => { $("player").close(); $("player").querySelector("iframe").srcdoc = ""; });
$("speed").addEventListener("change", (event) => event.target.blur());
Hands.onChange(() => sendControls(false));
Hands.pad($("pad_left")); Hands.pad($("pad_right")); Hands.tilting($("tilt"));
setInterval(() => sendControls(false), SEND_MS);
setInterval(() => send({ type: "ping", t: performance.now() }), PING_MS);
connect();
