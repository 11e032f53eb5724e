// The live page. Values come as server-sent events; every text is set as text, never as HTML.
"use strict";

const ALL_SCORES = 10; // a model with more labels shows its best, sorted
const BEST_SCORES = 6;
const BEST_EVERY_MS = 500; // rows that change places ten times a second cannot be read
const RETRY_MS = 2000;
const HOLD_MS = 350; // between two pictures while a button is held
const SAID_MS = 6000;
const HOW_TO_SAVE = "Press to save the frame in view to a class, hold for more.";
const STALE_S = 3;
const LONG_LABEL = 16; // characters that a telephone has room for in large letters
const EVENTS_SHOWN = 12;

const $ = (id) => document.getElementById(id);
const state = {
  labels: [], rows: [], best: 0, classes: "", events: "", cameraError: "", source: null, retry: 0, said: 0,
};

// --- texts

const percent = (score) => `${Math.round(score * 100)}\u00a0%`;
const unit = (number, digits, name) => (number === null ? "–" : `${number.toFixed(digits)}\u00a0${name}`);

function duration(seconds) {
  const s = Math.round(seconds);
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

function when(seconds) {
  const time = new Date(seconds * 1000);
  const clock = time.toLocaleTimeString();
  return time.toDateString() === new Date().toDateString() ? clock : `${time.toLocaleDateString()} ${clock}`;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function set(id, text) {
  const found = $(id);
  if (found.textContent !== text) found.textContent = text;
}

// --- status: once a second, and when an event came

function showStatus({ health, status, frame_size: size, saving, events }) {
  showHealth(health.level, health.reason);
  $("stage").style.aspectRatio = `${size.width} / ${size.height}`;
  set("model", status.model.name);
  set("version", status.model.version);
  document.title = `${status.model.name} – litelens`;
  set("fps", status.fps.toFixed(1));
  set("age", unit(status.age_ms, 0, "ms"));
  set("invoke", unit(status.invoke_ms, 1, "ms"));
  const { temperature_c: temperature, throttled } = status.board;
  set("board", unit(temperature, 0, "°C") + (throttled ? ", throttled" : ""));
  $("board").classList.toggle("bad", throttled === true);
  state.cameraError = status.camera.error;
  showLabels(status.model.labels);
  showClasses(status.model.labels, saving);
  showEvents(events);
  showDetails(status, saving);
}

function showHealth(level, reason) {
  $("health").dataset.level = $("trouble").dataset.level = level;
  set("health-word", { ok: "OK", degraded: "Degraded", lost: "Lost" }[level]);
  set("trouble", reason);
}

function followed({ said, looked_s_ago: ago }) {
  return `${said || "not looked yet"}${ago === null ? "" : `; looked ${duration(ago)} ago`}`;
}

function showDetails({ model, camera, device, sinks, follow, ...status }, saving) {
  const rows = [
    ["Model file", model.path],
    ["Interpreter", model.interpreter],
    ["Reloaded", `${model.reloads} times`],
    model.refused && ["Refused", model.refused],
    ["Camera", camera.source],
    camera.error && ["Camera's trouble", camera.error],
    ["Frames", `${camera.captured} captured, ${status.classified} classified, ${camera.dropped} replaced by newer ones, ${status.skipped} skipped`],
    ["Reopened", `${camera.reopened} times`],
    ["Device", device.used === device.wanted ? device.used : `${device.used} (asked for: ${device.wanted})`],
    device.degraded && ["Degraded", device.degraded],
    ["Running for", duration(status.since_s)],
    saving && ["Pictures in", saving.folder],
    follow && ["Follows", `${follow.address}, ${follow.channel}`],
    follow && ["Updates", followed(follow)],
    ...sinks.map((sink) => [
      `Sink ${sink.name}`,
      `${sink.delivered} delivered, ${sink.waiting} waiting, ${sink.dropped} dropped${sink.error && `: ${sink.error}`}`,
    ]),
  ].filter(Boolean);
  const list = $("details");
  while (list.children.length > rows.length * 2) list.lastChild.remove();
  while (list.children.length < rows.length * 2) list.append(element("dt"), element("dd"));
  rows.flat().forEach((text, i) => {
    if (list.children[i].textContent !== text) list.children[i].textContent = text;
  });
}

// --- scores: up to ten times a second

function showLabels(labels) {
  if (JSON.stringify(labels) === JSON.stringify(state.labels)) return;
  state.labels = labels;
  $("state").classList.toggle("long", labels.some((label) => label.length > LONG_LABEL));
  const count = labels.length <= ALL_SCORES ? labels.length : BEST_SCORES;
  state.rows = Array.from({ length: count }, (_, i) => scoreRow(labels[i]));
  $("scores").replaceChildren(...state.rows.map((row) => row.item));
}

function scoreRow(label) {
  const item = element("li");
  const name = element("span", "name", label);
  const value = element("span", "number", "–");
  const bar = element("div", "bar");
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-valuemin", 0);
  bar.setAttribute("aria-valuemax", 100);
  const fill = bar.appendChild(element("div"));
  item.append(name, value, bar);
  return { item, name, value, bar, fill };
}

function showScores({ frame, state: inView, scores, frame_age_s: age }) {
  showStage(frame, age);
  if (frame === null || scores.length !== state.labels.length) return;
  set("state", inView);
  $("state").classList.toggle("unknown", inView === "unknown");
  const index = state.labels.indexOf(inView);
  set("state-score", index < 0 ? "" : percent(scores[index]));
  let shown = scores.map((score, i) => [i, score]);
  if (state.rows.length < scores.length) {
    const now = performance.now();
    if (now - state.best < BEST_EVERY_MS) return;
    state.best = now;
    shown = shown.sort((a, b) => b[1] - a[1]).slice(0, state.rows.length);
  }
  shown.forEach(([i, score], row) => showScore(state.rows[row], state.labels[i], score, i === index));
}

function showScore({ name, value, bar, fill }, label, score, isInView) {
  if (name.textContent !== label) name.textContent = label;
  name.title = label;
  name.classList.toggle("in-view", isInView);
  value.textContent = percent(score);
  fill.style.transform = `scaleX(${Math.round(score * 100) / 100})`;
  bar.setAttribute("aria-label", label);
  bar.setAttribute("aria-valuenow", Math.round(score * 100));
}

function showStage(frame, age) {
  const stale = frame !== null && age > STALE_S;
  const said = frame === null ? "Waiting for the first frame" : stale ? `No new frame for ${duration(age)}` : "";
  showMissing(said && [said, state.cameraError].filter(Boolean).join(": "), stale);
}

function showMissing(text, stale) {
  document.body.classList.toggle("stale", stale);
  $("no-video").hidden = !text;
  set("no-video", text);
}

// --- events

function showEvents(events) {
  const key = events.map((event) => event.id + event.thumbnail).join();
  if (key === state.events) return;
  state.events = key;
  $("no-events").hidden = events.length > 0;
  $("events").replaceChildren(...events.slice(0, EVENTS_SHOWN).map(eventItem));
}

function eventItem({ id, kind, label, score, time, thumbnail }) {
  const item = element("li", kind);
  const picture = element(thumbnail ? "img" : "div", thumbnail ? "" : "gone");
  if (thumbnail) {
    picture.src = `/api/events/${id}.jpg`;
    picture.alt = "";
    picture.onerror = () => picture.replaceWith(element("div", "gone"));
  }
  const text = element("div");
  const at = element("time", "", `${when(time)} · ${percent(score)}`);
  at.dateTime = new Date(time * 1000).toISOString();
  text.append(element("span", "what", `${kind} ${label}`), at);
  item.title = `${kind} ${label}`;
  item.append(picture, text);
  return item;
}

// --- saving

function showClasses(labels, saving) {
  for (const id of ["classes", "new-class"]) $(id).hidden = !saving;
  if (!$("saved").textContent) {
    set("saved", saving ? HOW_TO_SAVE : "Start litelens with --web-pictures FOLDER, and buttons here save frames to train with.");
  }
  if (!saving) return;
  const names = [...labels, ...Object.keys(saving.counts).filter((name) => !labels.includes(name))];
  if (JSON.stringify(names) !== state.classes) {
    state.classes = JSON.stringify(names);
    $("classes").replaceChildren(...names.map(classButton));
  }
  [...$("classes").children].forEach((button, i) => showCount(button, Object.hasOwn(saving.counts, names[i]) ? saving.counts[names[i]] : 0));
}

function classButton(name) {
  const button = element("button");
  button.type = "button";
  button.dataset.name = name;
  button.title = name;
  button.append(element("span", "name", name), element("span", "count number", "0"));
  let held = 0;
  const again = async () => {
    const began = ++held;
    do {
      const wait = new Promise((done) => setTimeout(done, HOLD_MS));
      if (!(await save(name))) break;
      await wait;
    } while (held === began);
  };
  button.addEventListener("pointerdown", (event) => event.button === 0 && again());
  for (const end of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(end, () => held++);
  button.addEventListener("click", (event) => event.detail === 0 && save(name)); // by keyboard
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a telephone's long press
  return button;
}

function showCount(button, count) {
  const shown = button.querySelector(".count");
  if (shown.textContent !== String(count)) shown.textContent = count;
}

async function save(name) {
  let answer;
  try {
    const response = await fetch("/api/save", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ class: name }),
    });
    answer = await response.json();
  } catch {
    answer = { error: "the server cannot be reached", hint: "try again" };
  }
  if ("error" in answer) {
    say("bad", `Not saved: ${answer.error}. ${answer.hint}`);
    return false;
  }
  say("good", `Saved to ${answer.class}, ${answer.count} now`);
  for (const button of $("classes").children) {
    if (button.dataset.name === answer.class) showCount(button, answer.count);
  }
  $("stage").classList.add("taken");
  setTimeout(() => $("stage").classList.remove("taken"), 120);
  return true;
}

function say(tone, text) {
  clearTimeout(state.said);
  $("saved").className = tone;
  set("saved", text);
  state.said = setTimeout(() => {
    $("saved").className = "quiet";
    set("saved", HOW_TO_SAVE);
  }, SAID_MS);
}

$("new-class").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await save($("class-name").value)) $("class-name").value = "";
});

// --- connection: only while the page is seen

function connect() {
  disconnect();
  showVideo();
  state.source = new EventSource("/api/live");
  state.source.addEventListener("status", (event) => showStatus(JSON.parse(event.data)));
  state.source.addEventListener("scores", (event) => showScores(JSON.parse(event.data)));
  state.source.onerror = lost;
}

function disconnect() {
  clearTimeout(state.retry);
  state.source?.close();
  state.source = null;
  $("video").hidden = true;
  $("video").removeAttribute("src");
}

async function lost() {
  disconnect();
  showHealth("lost", "this page has lost its connection and tries again");
  showMissing("No connection", true);
  try {
    const answer = await fetch("/api/status");
    if (answer.status === 401) return location.reload();
  } catch {
    // The server is not there.
  }
  state.retry = setTimeout(() => document.hidden || connect(), RETRY_MS);
}

function showVideo() {
  const video = $("video");
  video.src = `/video.mjpg?${Date.now()}`; // a new one: browsers share a stream that still ends
  video.hidden = false;
}

$("video").addEventListener("error", () => {
  $("video").hidden = true;
  if (state.source) setTimeout(() => state.source && !document.hidden && showVideo(), RETRY_MS);
});
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));

const first = JSON.parse($("first").textContent);
showStatus(first);
showScores(first.scores);
document.body.classList.add("ready");
// Not before: the video's response has no end, and the browser would show the page as loading for ever.
window.addEventListener("load", connect);
