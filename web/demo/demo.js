// ../app/dom.ts
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === void 0 || value === false || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "class") element.className = String(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== void 0 && child !== false));
  return element;
}
var now = () => performance.timeOrigin + performance.now();
var TITLES = { ana: "Ana", ben: "Ben" };

// ../app/picture.ts
var ROWS = 9;
var KEPT = 400;
var STATIONS = ["Phone", "Gateway", "Log", "Owner", "Gateway", "Phone"];
var STAGE_MS = 190;
var LOST_MS = 3e3;
var SCALE = [[1, "1 ms"], [10, "10 ms"], [100, "0.1 s"], [1e3, "1 s"], [1e4, "10 s"]];
var place = (ms) => Math.min(100, Math.max(0, Math.log10(Math.max(ms, 0.5) / 0.5) / Math.log10(6e4 / 0.5) * 100));
var words = (ms) => ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1e3 ? `${Math.round(ms)} ms` : ms < 6e4 ? `${(ms / 1e3).toFixed(1)} s` : `${Math.round(ms / 6e4)} min`;
var median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
var Picture = class {
  pushes = [];
  stands = /* @__PURE__ */ new Map();
  applied = /* @__PURE__ */ new Map();
  /* (device, space, push) -> rev */
  counters = { made: 0, logged: 0, applied: 0, refused: 0, seen: 0, resent: 0, doubled: 0 };
  way = h("div", { class: "way", role: "img", "aria-label": "From phone to gateway, log, owner, gateway, phone" });
  rows = h("ol", { class: "pushes", "aria-label": "The latest changes and their times" });
  numbers = h("dl", { class: "numbers" });
  wire = h("ol", { class: "frames", tabindex: 0, "aria-label": "The latest frames" });
  isAsked = false;
  constructor(element) {
    STATIONS.forEach((name, i) => this.way.append(h("span", { class: `station s${i}` }, i === 0 ? "Ana" : i === 5 ? "Ben" : name)));
    element.append(this.way, h(
      "div",
      { class: "columns" },
      h("section", { "aria-labelledby": "h-changes" }, h("h3", { id: "h-changes" }, "Changes, and how long each took"), h("p", { class: "legend" }, ...[["logged", "safe in the log"], ["resolved", "resolved"], ["seen", "on the other phone"]].map(([name, words2]) => h("span", {}, h("i", { class: name }), words2))), this.scale(), this.rows),
      h("section", { "aria-labelledby": "h-promises" }, h("h3", { id: "h-promises" }, "The promises, counted"), this.numbers),
      h("section", { "aria-labelledby": "h-frames" }, h("h3", { id: "h-frames" }, "On the wire"), this.wire)
    ));
    setInterval(() => this.draw(), 1e3);
    this.draw();
  }
  scale() {
    const scale = h("div", { class: "scale", "aria-hidden": "true" });
    for (const [ms, name] of SCALE) {
      const mark = h("span", {}, name);
      mark.style.left = `${place(ms)}%`;
      scale.append(mark);
    }
    return scale;
  }
  hear(told) {
    if (told.kind === "status") this.stand(told);
    else if (told.kind === "written") this.written(told);
    else if (told.kind === "frame") this.frame(told);
    this.later();
  }
  gone(who) {
    this.stands.delete(who);
  }
  written({ who, at, space, id, label, began }) {
    const device = this.stands.get(who)?.device ?? who;
    this.counters.made++;
    const known = this.pushes.find((one) => one.who === who && one.space === space && one.id === id);
    if (known) Object.assign(known, { label, began, written: at });
    else this.keep({ who, device, space, id, label, began, written: at, shown: 0 });
  }
  keep(push) {
    this.pushes.unshift(push);
    for (const old of this.pushes.splice(KEPT)) old.dot?.remove();
    return push;
  }
  of(who, space, upTo, exact = false) {
    return this.pushes.filter((one) => one.who === who && one.space === space && (exact ? one.id === upTo : one.id <= upTo));
  }
  frame({ who, at, isOut, text, frame }) {
    const { type, space, id } = frame;
    this.wire.prepend(h("li", { class: who, title: text }, h("b", {}, `${TITLES[who]} ${isOut ? "↑" : "↓"} ${type} `), text.replace(/^\{"type":"\w+",?/, "").slice(0, 140)));
    while (this.wire.children.length > 40) this.wire.lastElementChild.remove();
    if (isOut && type === "push") {
      const [push] = this.of(who, space, id, true);
      if (push?.sent !== void 0) this.counters.resent++;
      else if (push) push.sent = at;
      else this.keep({ who, device: this.stands.get(who)?.device ?? who, space, id, label: this.labelOf(frame), began: at, written: at, sent: at, shown: 0 });
    } else if (!isOut && type === "ack") {
      for (const push of this.of(who, space, id)) if (push.logged === void 0) {
        push.logged = at;
        this.counters.logged++;
      }
    } else if (!isOut && type === "update") this.update(who, at, frame);
    else if (!isOut && type === "result") {
      for (const push of this.of(who, space, id, true)) this.resolved(push, at, frame.status === "applied" ? void 0 : String(frame.code ?? frame.status));
    } else if (!isOut && type === "page" && frame.more === false && frame.at === void 0) {
      for (const push of this.of(who, space, frame.pushed)) {
        const refused = frame.refused?.find((one) => one.id === push.id);
        this.resolved(push, at, refused && (refused.code ?? refused.status));
      }
    } else if (!isOut && type === "current") {
      for (const entry of frame.spaces) for (const push of this.of(who, entry.space, entry.pushed)) this.resolved(push, at, void 0);
    }
  }
  labelOf(frame) {
    const [op] = frame.ops;
    if (!op) return "barrier";
    return op.collection === "receipts" ? "receipt" : `${op.op} ${op.collection}`;
  }
  update(hearer, at, frame) {
    const { space, device, push, rev } = frame;
    const name = `${device} ${space} ${push}`, before = this.applied.get(name);
    if (before !== void 0 && before !== rev) this.counters.doubled++;
    this.applied.set(name, rev);
    const found = this.pushes.find((one) => one.device === device && one.space === space && one.id === push);
    if (!found) return;
    found.rev = rev;
    if (found.who === hearer) this.resolved(found, at, void 0);
    else this.seen(found, at);
  }
  resolved(push, at, refused) {
    if (push.resolved !== void 0) return;
    push.resolved = at;
    if (push.logged === void 0) {
      push.logged = at;
      this.counters.logged++;
    }
    if (refused !== void 0) push.refused = refused;
    this.counters[refused === void 0 ? "applied" : "refused"]++;
  }
  seen(push, at) {
    if (push.seen !== void 0) return;
    push.seen = at;
    this.counters.seen++;
  }
  /* Two copies at one place are one: what either made is on the other. */
  stand({ who, at, connected, uploading, refused, device, spaces }) {
    this.stands.set(who, { connected, uploading, refused, device, spaces });
    for (const push of this.pushes) if (push.resolved !== void 0 && push.seen === void 0 && push.refused === void 0 && this.isEqual(push.space)) this.seen(push, at);
  }
  isEqual(space) {
    const kind = Object.keys(this.stands.get("ana")?.spaces ?? {}).find((one) => space.startsWith(one)), [ana, ben] = [this.stands.get("ana"), this.stands.get("ben")];
    return kind !== void 0 && ana?.spaces[kind] === ben?.spaces[kind];
  }
  later() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw();
    });
  }
  draw() {
    const shown = this.pushes.filter((push) => push.label !== "receipt").slice(0, ROWS);
    this.rows.replaceChildren(...shown.map((push) => this.row(push)));
    for (const push of this.pushes) if (push.dot || shown.indexOf(push) >= 0) this.travel(push);
    this.count();
  }
  row(push) {
    const track = h("div", { class: "track", "aria-hidden": "true" }), said = [];
    for (const [stage, at, name] of [["logged", push.logged, "log"], ["resolved", push.resolved, push.refused ?? "resolved"], ["seen", push.seen, "other phone"]]) {
      if (at === void 0) continue;
      const ms = at - push.began, mark = h("i", { class: `${stage} ${stage === "resolved" && push.refused ? "refused" : ""}` });
      mark.style.left = `${place(ms)}%`;
      track.append(mark);
      said.push(`${name} ${words(ms)}`);
    }
    const text = said.length > 0 ? said.join(" · ") : this.stands.get(push.who)?.connected ? "on its way" : "waits on the phone";
    return h("li", { class: push.who }, h("span", { class: "label" }, h("b", {}, TITLES[push.who]), ` ${push.label}`), track, h("small", {}, text));
  }
  /* A dot a push; the way is shown slower than it is gone. */
  travel(push) {
    const reached = push.seen !== void 0 ? 5 : push.resolved !== void 0 ? 3 : push.logged !== void 0 ? 2 : push.sent !== void 0 ? 1 : 0;
    if (!push.dot && reached < 5 && document.visibilityState === "visible") this.way.append(push.dot = h("i", { class: `dot ${push.who} at0` }));
    const { dot } = push;
    if (!dot || dot.dataset.moving || push.shown >= reached || push.shown >= 5) return;
    dot.dataset.moving = "yes";
    setTimeout(() => {
      delete dot.dataset.moving;
      push.shown++;
      dot.className = `dot ${push.who} at${push.shown}`;
      if (push.shown === 5 || push.refused !== void 0 && push.shown >= 3) {
        dot.classList.add("done");
        setTimeout(() => dot.remove(), 600);
        push.shown = 5;
      } else this.travel(push);
    }, STAGE_MS);
  }
  count() {
    const stands = [...this.stands.values()], [ana, ben] = [this.stands.get("ana"), this.stands.get("ben")], kinds = Object.keys(ana?.spaces ?? {});
    const equal = kinds.filter((kind) => ben?.spaces[kind] === ana?.spaces[kind]).length, at = performance.timeOrigin + performance.now();
    const lost = this.pushes.filter((push) => push.resolved === void 0 && at - push.written > LOST_MS && this.stands.get(push.who)?.uploading === 0).length;
    const times = this.pushes.filter((push) => push.seen !== void 0 && push.sent !== void 0 && push.sent - push.began < 50).map((push) => push.seen - push.began);
    const { made, logged, applied, refused, seen, resent, doubled } = this.counters;
    const rows = [
      ["Changes made", made],
      ["Safe in the log", logged],
      ["Applied", applied],
      ["Refused, kept for their user", refused],
      ["On the other phone", seen],
      ["Waiting on the phones", stands.reduce((sum, one) => sum + one.uploading, 0)],
      ["Sent again", resent],
      ["Lost", lost, lost === 0 ? "good" : "bad"],
      ["Applied twice", doubled, doubled === 0 ? "good" : "bad"],
      ["Copies that agree", stands.length < 2 ? "–" : `${equal} of ${kinds.length}`, equal === kinds.length && stands.length === 2 ? "good" : ""],
      ["Key press to other phone, median", times.length > 0 ? words(median(times)) : "–"]
    ];
    this.numbers.replaceChildren(...rows.flatMap(([name, value, mood]) => [h("dt", {}, name), h("dd", { class: mood ?? "" }, String(value))]));
  }
};

// ../app/main.ts
var params = new URLSearchParams(location.search);
var room = /^[a-z0-9-]{1,24}$/.exec(params.get("room") ?? localStorage.getItem("tidegate-demo:room") ?? "")?.[0] ?? Math.random().toString(36).slice(2, 8);
localStorage.setItem("tidegate-demo:room", room);
var $ = (selector) => document.querySelector(selector);
var people = ["ana", "ben"];
var STEPS = [
  ["said", "Write a message on one phone, and watch its ticks on the other’s reading."],
  ["pressed", "Press + in both carts at once. Every press counts."],
  ["offline", "Put Ben into airplane mode, and go on changing things on both."],
  ["back", "Bring him back. Both phones show the same."],
  ["conflict", "Change the note on both while one is offline. You are asked."],
  ["settled", "Settle it. Nothing was thrown away."],
  ["clock", "Set a clock ten years wrong. Nobody wins by it."],
  ["worked", "Log a workout in airplane mode."],
  ["killed", "Kill a phone in the middle of something, and start it again."]
];
var key = `tidegate-demo:steps:${room}`;
var done = new Set(JSON.parse(localStorage.getItem(key) ?? "[]"));
function showSteps() {
  $("#steps").replaceChildren(...STEPS.map(([step, text]) => h("li", { class: done.has(step) ? "done" : "" }, done.has(step) && h("span", { class: "sr" }, "Done: "), text)));
  $("#count").textContent = `${STEPS.filter(([step]) => done.has(step)).length} of ${STEPS.length}`;
}
function tick(step) {
  if (done.has(step)) return;
  done.add(step);
  localStorage.setItem(key, JSON.stringify([...done]));
  showSteps();
}
var frames = /* @__PURE__ */ new Map();
function start(who) {
  const frame = h("iframe", { src: `/phone.html?who=${who}&room=${room}`, title: `${TITLES[who]}'s phone`, id: who });
  frames.set(who, frame);
  $(`#slot-${who}`).replaceChildren(frame);
}
function kill(who) {
  frames.delete(who);
  picture.gone(who);
  const again = h("button", { type: "button", class: "primary", onclick: () => start(who) }, "Start it again");
  $(`#slot-${who}`).replaceChildren(h("div", { class: "dead" }, h("p", {}, `${TITLES[who]}'s phone was killed.`), h("p", {}, "What it had written is in its store."), again));
  again.focus();
  tick("killed");
}
var picture = new Picture($("#picture"));
addEventListener("message", ({ data, origin }) => {
  if (origin !== location.origin || !data?.tidegate) return;
  if (data.kind === "step") tick(data.step);
  else if (data.kind === "kill") kill(data.who);
  else picture.hear(data);
});
$("#room").textContent = room;
$("#copy").addEventListener("click", ({ currentTarget }) => {
  void navigator.clipboard?.writeText(`${location.origin}/?room=${room}`);
  currentTarget.textContent = "Copied";
});
$("#fresh").addEventListener("click", () => {
  location.search = `?room=${Math.random().toString(36).slice(2, 8)}`;
});
showSteps();
if (matchMedia("(max-width: 720px)").matches) $(".guide").open = false;
people.forEach(start);
void navigator.serviceWorker?.register("/sw.js").catch(() => {
});
Object.assign(window, { picture, started: now() });
