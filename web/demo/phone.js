// ../app/phone.ts
import { createClient } from "./tidegate.js";

// ../app/chat.ts
import { newId } from "./tidegate.js";

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
function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}
var ICONS = {
  chat: "M4 5h16v11H9l-5 4z",
  cart: "M3 4h3l2 11h10l2-8H7M9 20h.01M17 20h.01",
  todos: "M4 7l2 2 3-4M4 15l2 2 3-4M13 7h7M13 16h7",
  note: "M6 3h9l4 4v14H6zM9 10h7M9 14h7",
  workout: "M3 12h4l3-7 4 14 3-7h4",
  plane: "M12 3l2 7 8 4v2l-8-2-1 5 2 2v1l-3-1-3 1v-1l2-2-1-5-8 2v-2l8-4z",
  slow: "M5 18a8 8 0 1 1 14 0M12 14l4-5",
  clock: "M12 4a8 8 0 1 0 .01 0M12 8v5l3 2",
  kill: "M12 3v9M6.5 6.5a8 8 0 1 0 11 0",
  wait: "M12 4a8 8 0 1 0 .01 0M12 8v5l3 2",
  one: "M5 13l4 4L19 7",
  two: "M2 13l4 4L16 7M11 16l1 1L22 7",
  send: "M4 12l16-8-5 16-3-7z",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13"
};
function icon(name, size = 20) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", width: size, height: size, fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    svg("path", { d: ICONS[name] })
  );
}
function onFrame(render) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      render();
    });
  };
}
var now = () => performance.timeOrigin + performance.now();
var TITLES = { ana: "Ana", ben: "Ben" };
var ROOMS = [["house", "Tea house"], ["trip", "Weekend trip"]];
var other = (who2) => who2 === "ana" ? "ben" : "ana";

// ../app/list.ts
var ESTIMATE = 46;
var AROUND = 400;
var VirtualList = class {
  constructor(label, className, empty) {
    this.empty = empty;
    this.element = h("div", { class: `scroll ${className}`, tabindex: 0, role: "region", "aria-label": label }, this.body);
    this.element.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.element;
      this.isAtEnd = scrollHeight - scrollTop - clientHeight < 24;
      this.draw();
      if (scrollTop < AROUND && !this.isAtEnd) this.onStart();
    }, { passive: true });
    new ResizeObserver(() => {
      this.draw();
      if (this.isAtEnd) this.toEnd();
    }).observe(this.element);
  }
  empty;
  element;
  body = h("div", { class: "rows", role: "list" });
  rows = [];
  heights = /* @__PURE__ */ new Map();
  drawn = /* @__PURE__ */ new Map();
  tops = [0];
  isAtEnd = true;
  /** Called when the first rows come into sight. */
  onStart = () => {
  };
  show(rows) {
    const anchor = this.isAtEnd ? null : this.anchor();
    this.rows = rows;
    this.measure();
    this.draw();
    if (this.isAtEnd) this.toEnd();
    else if (anchor) {
      const at = rows.findIndex((row) => row.key === anchor.key);
      if (at >= 0) this.element.scrollTop = this.tops[at] + anchor.offset;
    }
  }
  toEnd() {
    for (let tries = 0; tries < 3; tries++) {
      this.element.scrollTop = this.element.scrollHeight;
      if (!this.draw()) break;
    }
    this.element.scrollTop = this.element.scrollHeight;
    this.isAtEnd = true;
  }
  anchor() {
    const at = this.at(this.element.scrollTop), row = this.rows[at];
    return row ? { key: row.key, offset: this.element.scrollTop - this.tops[at] } : null;
  }
  measure() {
    this.tops = new Array(this.rows.length + 1);
    let top = 0;
    this.rows.forEach((row, i) => {
      this.tops[i] = top;
      top += this.heights.get(row.key) ?? ESTIMATE;
    });
    this.tops[this.rows.length] = top;
  }
  at(y) {
    let low = 0, high = this.rows.length - 1;
    while (low < high) {
      const middle = low + high + 1 >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }
  /* True if a height came out other than was thought. */
  draw() {
    if (this.rows.length === 0) {
      this.drawn.clear();
      this.body.replaceChildren(h("p", { class: "empty" }, this.empty));
      this.body.style.height = "";
      return false;
    }
    const { scrollTop, clientHeight } = this.element, first = this.at(scrollTop - AROUND), last = this.at(scrollTop + clientHeight + AROUND);
    const wanted = new Map(this.rows.slice(first, last + 1).map((row, i) => [row.key, first + i]));
    for (const [key, { element }] of this.drawn) if (!wanted.has(key)) {
      element.remove();
      this.drawn.delete(key);
    }
    if (this.body.firstElementChild?.className === "empty") this.body.replaceChildren();
    let before = null;
    for (const [key, i] of wanted) {
      const row = this.rows[i], held = this.drawn.get(key);
      let element = held?.element;
      if (!held || held.version !== row.version) {
        const made = row.render();
        made.classList.add("row");
        made.setAttribute("role", "listitem");
        made.setAttribute("aria-setsize", String(this.rows.length));
        if (element) element.replaceWith(made);
        element = made;
        this.drawn.set(key, { element, version: row.version });
      }
      element.setAttribute("aria-posinset", String(i + 1));
      const follows = before ? before.nextElementSibling : this.body.firstElementChild;
      if (follows !== element) this.body.insertBefore(element, follows);
      before = element;
    }
    let isOff = false;
    for (const [key] of wanted) {
      const height = this.drawn.get(key).element.offsetHeight;
      if (height > 0 && this.heights.get(key) !== height) {
        isOff ||= (this.heights.get(key) ?? ESTIMATE) !== height;
        this.heights.set(key, height);
      }
    }
    if (isOff) this.measure();
    for (const [key, i] of wanted) this.drawn.get(key).element.style.transform = `translateY(${this.tops[i]}px)`;
    this.body.style.height = `${this.tops[this.rows.length]}px`;
    return isOff;
  }
};

// ../app/chat.ts
var STAGES = { waits: ["wait", "waits for the network"], sent: ["one", "sent"], delivered: ["two", "delivered"], read: ["two", "read"] };
var clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
var TYPING_MS = 1500;
var TYPED_MS = 3e3;
function chat(phone2) {
  const spaces = new Map(ROOMS.map(([id]) => [id, phone2.space(`chat:${id}`)]));
  let room2 = ROOMS[0][0], isShown = false, toldTyping = -Infinity, typing = 0;
  const space = () => spaces.get(room2);
  const list = new VirtualList("Messages", "messages", "No messages yet. Say something.");
  const input = h("input", { name: "text", maxlength: 1e3, autocomplete: "off", placeholder: "Message", "aria-label": `Message from ${phone2.who === "ana" ? "Ana" : "Ben"}` });
  const form = h("form", { class: "compose" }, input, h("button", { type: "submit", "aria-label": "Send", class: "primary" }, icon("send", 18)));
  const rooms = h("div", { class: "rooms", role: "group", "aria-label": "Rooms" }), note2 = h("p", { class: "typing", "aria-live": "polite" }), there = h("p", { class: "there" });
  const said = h("p", { class: "sr", "aria-live": "polite" });
  const unread = (id) => {
    const of = spaces.get(id), mine = of.receipts.of(phone2.me).read;
    return of.collection("messages").current()?.docs.filter((doc) => doc.user !== phone2.me && (doc.born ?? 0) > mine).length ?? 0;
  };
  const stage = (doc) => {
    if (doc.pending === "queued") return "waits";
    if (doc.pending === "sent" || doc.born === void 0) return "sent";
    const { delivered, read } = space().receipts.of(phone2.them);
    return doc.born <= read ? "read" : doc.born <= Math.max(delivered, read) ? "delivered" : "sent";
  };
  const row = (doc) => {
    const isMine = doc.user === phone2.me, at = isMine ? stage(doc) : "sent", [shape, words] = STAGES[at];
    return {
      key: doc.id,
      version: `${doc.raw} ${isMine ? at : ""}`,
      render: () => h(
        "div",
        { class: `message ${isMine ? "mine" : "theirs"} ${at}`, "data-id": doc.id },
        h("div", { class: "bubble" }, h("span", { class: "text" }, doc.data.text), h("small", {}, clock.format(doc.time), isMine && icon(shape, 15), isMine && h("span", { class: "sr" }, ` ${words}`)))
      )
    };
  };
  const draw2 = onFrame(() => {
    const snapshot = space().collection("messages").current();
    if (!snapshot) return;
    list.show(snapshot.docs.map(row));
    if (snapshot.docs.length > 0 && performance.getEntriesByName("messages:shown").length === 0) requestAnimationFrame(() => performance.mark("messages:shown"));
    rooms.replaceChildren(...ROOMS.map(([id, title2]) => {
      const count = id === room2 && isShown ? 0 : unread(id);
      return h("button", { type: "button", class: "chip", "aria-pressed": String(id === room2), onclick: () => choose2(id) }, title2, count > 0 && h("b", { class: "badge" }, String(count)), count > 0 && h("span", { class: "sr" }, " unread"));
    }));
    const { here } = space().here(), isHere = here.some(({ user: user2 }) => user2 === phone2.them);
    there.textContent = !phone2.client.status.connected ? "You are offline" : isHere ? `${phone2.theirName} is here` : `${phone2.theirName} is away`;
    there.classList.toggle("on", isHere && phone2.client.status.connected);
  });
  const mark = (of) => {
    const docs = of.collection("messages").current()?.docs ?? [];
    const last = docs.findLast((doc) => doc.pending === null && doc.user !== phone2.me)?.born;
    if (last === void 0) return;
    if (of === space() && isShown && document.visibilityState === "visible") void of.receipts.markRead(last);
    else void of.receipts.markDelivered(last);
  };
  const choose2 = (id) => {
    room2 = id;
    list.element.scrollTop = 0;
    draw2();
    requestAnimationFrame(() => list.toEnd());
    mark(space());
  };
  for (const of of spaces.values()) {
    let last = "";
    of.collection("messages").onSnapshot(({ docs }) => {
      mark(of);
      draw2();
      const newest = docs.at(-1);
      if (newest && newest.id !== last && newest.user !== phone2.me && of === space() && isShown && last !== "") said.textContent = `${phone2.theirName}: ${newest.data.text}`;
      last = newest?.id ?? "-";
      if (newest && newest.user !== phone2.me && of === space()) note2.textContent = "";
    });
    of.receipts.onChange(draw2);
    of.onPresence(draw2);
    of.onSignal(({ user: user2, body }) => {
      if (of !== space() || user2 !== phone2.them || !body.typing) return;
      note2.textContent = `${phone2.theirName} is typing…`;
      clearTimeout(typing);
      typing = window.setTimeout(() => {
        note2.textContent = "";
      }, TYPED_MS);
    });
  }
  phone2.client.onStatus(draw2);
  document.addEventListener("visibilitychange", () => mark(space()));
  input.addEventListener("input", () => {
    if (performance.now() - toldTyping < TYPING_MS || !input.value) return;
    toldTyping = performance.now();
    space().signal({ typing: true });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    toldTyping = -Infinity;
    void phone2.write(space(), `“${text.slice(0, 24)}”`, [{ op: "append", collection: "messages", id: newId(), body: { text } }]);
    phone2.step("said");
    list.toEnd();
  });
  return {
    element: h("div", { class: "app chat" }, rooms, there, list.element, note2, form, said),
    badge: () => isShown ? 0 : ROOMS.reduce((sum, [id]) => sum + unread(id), 0),
    shown: (now2) => {
      isShown = now2;
      if (!now2) return;
      mark(space());
      draw2();
      requestAnimationFrame(() => list.toEnd());
    }
  };
}

// ../app/cart.ts
import { newId as newId2 } from "./tidegate.js";
function cart(phone2) {
  const space = phone2.space("cart"), items = space.collection("items");
  const list = h("ul", { class: "scroll items", tabindex: 0, "aria-label": "Cart" }), total = h("output", {});
  const input = h("input", { name: "item", maxlength: 40, autocomplete: "off", placeholder: "Add something", "aria-label": "Add to the cart" });
  const rows = /* @__PURE__ */ new Map();
  const press = (id, name, by) => {
    void phone2.write(space, `${by > 0 ? "+1" : "−1"} ${name}`, [{ op: "incr", collection: "items", id, field: "qty", by, min: 0, max: 999 }]);
    phone2.step("pressed");
  };
  const make = (id, title2) => {
    const name = h("span", { class: "name" }), qty = h("output", {}), price = h("small", {});
    const button = (sign, by, words) => h("button", { type: "button", "aria-label": `One ${words}: ${title2}`, onclick: () => press(id, title2, by) }, sign);
    const row = h("li", { "data-id": id }, h("div", { class: "what" }, name, price), button("−", -1, "fewer"), qty, button("+", 1, "more"));
    rows.set(id, { row, name, qty, price });
    return rows.get(id);
  };
  const draw2 = onFrame(() => {
    const docs = [...items.current()?.docs ?? []].sort((a, b) => String(a.data.name).localeCompare(String(b.data.name)));
    const ids = new Set(docs.map((doc) => doc.id));
    for (const [id, { row }] of rows) if (!ids.has(id)) {
      row.remove();
      rows.delete(id);
    }
    docs.forEach((doc, i) => {
      const { row, name, qty, price } = rows.get(doc.id) ?? make(doc.id, doc.data.name ?? doc.id);
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
      name.textContent = doc.data.name ?? doc.id;
      if (qty.textContent !== String(doc.data.qty ?? 0)) qty.textContent = String(doc.data.qty ?? 0);
      price.textContent = doc.data.price === void 0 ? "" : `${Number(doc.data.price).toFixed(2)} each`;
      row.classList.toggle("pending", doc.pending === "queued");
    });
    total.textContent = docs.reduce((sum, { data }) => sum + Number(data.price ?? 0) * Number(data.qty ?? 0), 0).toFixed(2);
  });
  items.onSnapshot(draw2);
  const form = h("form", { class: "compose" }, input, h("button", { type: "submit", class: "primary" }, "Add"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    input.value = "";
    void phone2.write(space, `adds ${name}`, [{ op: "put", collection: "items", id: newId2(), body: { name, qty: 1 }, if: "absent" }]);
  });
  return { element: h("div", { class: "app" }, h("p", { class: "hint" }, "One cart, two phones. Press + on both at once."), list, h("p", { class: "total" }, "Total ", total), form) };
}

// ../app/note.ts
var textOf = (body) => body === void 0 ? "" : JSON.parse(body).text ?? "";
function note(phone2) {
  const space = phone2.space("notes"), doc = space.doc("notes/trip");
  const area = h("textarea", { "aria-label": `The note, as ${phone2.who === "ana" ? "Ana" : "Ben"} has it` });
  const save = h("button", { type: "button", class: "primary" }, "Save"), state2 = h("span", { class: "saved" });
  const mine = h("pre", { tabindex: 0, "aria-label": "Yours" }), theirs = h("pre", { tabindex: 0, "aria-label": "Theirs" }), both = h("textarea", { rows: 3 });
  const choice = (value, text) => h("button", { type: "button", value, onclick: () => void settle(value) }, text);
  const dialog = h(
    "section",
    { class: "conflict", hidden: true, "aria-label": "Two versions of one note" },
    h("h2", { tabindex: -1 }, "Two versions of one note"),
    h("p", {}, "Both were written without knowing of the other. Nothing is lost: which one shall it be?"),
    h("div", { class: "sides" }, h("figure", {}, h("figcaption", {}, "Yours"), mine, choice("mine", "Keep yours")), h("figure", {}, h("figcaption", {}, "Theirs"), theirs, choice("theirs", "Keep theirs"))),
    h("label", {}, "Or both, as you like it", both),
    choice("both", "Keep this")
  );
  let isDirty = false, isSaving = false, base, conflict;
  const write = async (text, from) => {
    isSaving = true;
    draw2();
    const write2 = await phone2.write(space, "saves the note", [{ op: "patch", collection: "notes", id: "trip", body: { text }, ...from !== void 0 && { base: from } }]);
    isSaving = false;
    if (write2 && area.value === text) {
      isDirty = false;
      base = void 0;
    }
    draw2();
  };
  async function settle(value) {
    const settled = conflict;
    if (!settled) return;
    conflict = void 0;
    dialog.hidden = true;
    isDirty = false;
    base = void 0;
    if (value === "theirs") await phone2.client.dismiss(settled.key);
    else await phone2.client.retry(settled.key, [{ op: "patch", collection: "notes", id: "trip", body: { text: value === "both" ? both.value : mine.textContent } }]);
    phone2.step("settled");
    draw2();
    area.focus();
  }
  const draw2 = onFrame(() => {
    const now2 = doc.current();
    if (!isDirty && now2 && area.value !== now2.data.text) area.value = now2.data.text ?? "";
    save.disabled = !isDirty || isSaving;
    state2.textContent = isDirty ? "Not saved yet" : !now2 ? "" : now2.pending === "queued" ? "Saved on this phone" : now2.pending === "sent" ? "Safe in the log" : "In step";
  });
  area.addEventListener("input", () => {
    if (!isDirty) base = doc.current()?.rev;
    isDirty = true;
    draw2();
  });
  save.addEventListener("click", () => void write(area.value, base));
  doc.onSnapshot(draw2);
  phone2.client.onRefused((refused) => {
    const found2 = refused.find((one) => one.status === "conflict" && one.space === space.name);
    if (!found2 || found2.key === conflict?.key) return;
    conflict = found2;
    const yours = textOf(found2.ops.at(-1)?.body), server = doc.current()?.raw ?? found2.docs[0]?.body;
    mine.textContent = yours;
    theirs.textContent = textOf(server);
    both.value = `${textOf(server)}
${yours}`;
    dialog.hidden = false;
    dialog.querySelector("h2").focus();
    phone2.step("conflict");
  });
  return {
    element: h("div", { class: "app note" }, h("p", { class: "hint" }, "Take one phone offline, change the note on both."), area, h("p", { class: "actions" }, save, state2), dialog),
    badge: () => conflict ? 1 : 0
  };
}

// ../app/todos.ts
import { newId as newId3 } from "./tidegate.js";
function todos(phone2) {
  const space = phone2.space("todos"), all = space.collection("todos");
  const list = h("ul", { class: "scroll todos", tabindex: 0, "aria-label": "To-dos" });
  const input = h("input", { name: "todo", maxlength: 120, autocomplete: "off", placeholder: "What is to be done?", "aria-label": "New to-do" });
  const rows = /* @__PURE__ */ new Map();
  const changing = /* @__PURE__ */ new Map();
  const change = async (id, label, body) => {
    changing.set(id, (changing.get(id) ?? 0) + 1);
    await phone2.write(space, label, [{ op: "patch", collection: "todos", id, body }]);
    changing.set(id, changing.get(id) - 1);
    draw2();
  };
  const make = (doc) => {
    const { id } = doc, title2 = () => all.doc(id).current()?.data.title ?? "";
    const box = h("input", { type: "checkbox" }), text = h("input", { class: "title", maxlength: 120, "aria-label": "Title" });
    box.addEventListener("change", () => {
      void change(id, `${box.checked ? "ticks" : "unticks"} ${title2()}`, { done: box.checked });
      phone2.step("ticked");
    });
    text.addEventListener("change", () => {
      if (text.value.trim() && text.value !== title2()) void change(id, `renames ${title2()}`, { title: text.value.trim() });
    });
    const remove = h("button", { type: "button", class: "quiet", onclick: () => void phone2.write(space, `removes ${title2()}`, [{ op: "delete", collection: "todos", id }]) }, icon("trash", 17));
    return h("li", { "data-id": id }, box, text, remove);
  };
  const draw2 = onFrame(() => {
    const docs = all.current()?.docs ?? [], ids = new Set(docs.map((doc) => doc.id));
    for (const [id, row] of rows) if (!ids.has(id)) {
      row.remove();
      rows.delete(id);
    }
    docs.forEach((doc, i) => {
      let row = rows.get(doc.id);
      if (!row) rows.set(doc.id, row = make(doc));
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
      const [box, text, remove] = row.children;
      const isChanging = (changing.get(doc.id) ?? 0) > 0;
      if (!isChanging) box.checked = doc.data.done === true;
      box.setAttribute("aria-label", `Done: ${doc.data.title}`);
      remove.setAttribute("aria-label", `Remove: ${doc.data.title}`);
      if (!isChanging && document.activeElement !== text && text.value !== doc.data.title) text.value = doc.data.title ?? "";
      row.classList.toggle("done", box.checked);
      row.classList.toggle("pending", doc.pending === "queued");
    });
  });
  all.onSnapshot(draw2);
  const form = h("form", { class: "compose" }, input, h("button", { type: "submit", class: "primary" }, "Add"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const title2 = input.value.trim();
    if (!title2) return;
    input.value = "";
    void phone2.write(space, `adds ${title2}`, [{ op: "put", collection: "todos", id: newId3(), body: { title: title2, done: false } }]);
  });
  return { element: h("div", { class: "app" }, h("p", { class: "hint" }, "Rename here, tick off there: both stand."), list, form) };
}

// ../app/workout.ts
import { newId as newId4 } from "./tidegate.js";
var KINDS = ["Run", "Row", "Ride"];
var WIDTH = 280;
var HEIGHT = 84;
function curve(samples) {
  const bpm = samples.map((one) => one.bpm), low = Math.min(60, ...bpm), high = Math.max(150, ...bpm), most = Math.max(8, samples.length - 1);
  const points = bpm.map((value, i) => `${(i / most * WIDTH).toFixed(1)},${(HEIGHT - 6 - (value - low) / (high - low) * (HEIGHT - 12)).toFixed(1)}`).join(" ");
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", preserveAspectRatio: "none", role: "img", "aria-label": `Heart rate, ${bpm.length} samples, last ${bpm.at(-1) ?? 0}` }, svg("polyline", { points, fill: "none" }));
}
function workout(phone2) {
  const space = phone2.space("workouts"), all = space.collection("workouts"), samples = space.collection("samples");
  const list = h("div", { class: "scroll workouts", tabindex: 0, role: "region", "aria-label": "Workouts" }), start = h("button", { type: "button", class: "primary wide" });
  let running = null;
  const sample = () => {
    if (!running) return;
    running.bpm = Math.round(Math.min(178, Math.max(88, running.bpm + (Math.random() - 0.42) * 9)));
    running.count++;
    void phone2.write(space, `${running.bpm} bpm`, [{ op: "append", collection: "samples", id: newId4(), body: { t: Math.round(phone2.wall()), bpm: running.bpm, workout: running.id } }]);
  };
  const toggle2 = () => {
    if (running) {
      clearInterval(running.timer);
      void phone2.write(space, "workout done", [{ op: "patch", collection: "workouts", id: running.id, body: { ended: Math.round(phone2.wall()) } }]);
      running = null;
      phone2.step("worked");
    } else {
      const id = newId4();
      void phone2.write(space, "workout starts", [{ op: "put", collection: "workouts", id, body: { kind: KINDS[Math.floor(Math.random() * KINDS.length)], started: Math.round(phone2.wall()), by: phone2.who } }]);
      running = { id, bpm: 96, count: 0, timer: window.setInterval(sample, 1e3) };
      sample();
    }
    draw2();
  };
  const draw2 = onFrame(() => {
    start.textContent = running ? "Stop" : "Start a workout";
    start.classList.toggle("running", running !== null);
    const shown = [...all.current()?.docs ?? []].sort((a, b) => a.id < b.id ? 1 : -1).slice(0, 12), taken = samples.current()?.docs ?? [];
    list.replaceChildren(...shown.map((doc) => {
      const own = taken.filter((one) => one.data.workout === doc.id), waits = own.filter((one) => one.pending === "queued").length;
      const words = `${own.length} samples${waits > 0 ? `, ${waits} wait here` : ""}`;
      return h("article", { class: `workout ${doc.pending === "queued" || waits > 0 ? "pending" : ""}`, "data-id": doc.id }, h("h2", {}, `${doc.data.kind} · ${doc.data.by === "ben" ? "Ben" : "Ana"}`), h("p", {}, words), curve(own.map((one) => one.data)));
    }));
    if (shown.length === 0) list.replaceChildren(h("p", { class: "empty" }, "No workouts yet. Start one in airplane mode."));
  });
  start.addEventListener("click", toggle2);
  all.onSnapshot(draw2);
  samples.onSnapshot(draw2);
  draw2();
  return { element: h("div", { class: "app" }, h("p", { class: "hint" }, "Logged on the phone, a sample a second, online or not."), list, h("p", { class: "actions" }, start)) };
}

// ../app/phone.ts
var params = new URLSearchParams(location.search);
var room = params.get("room") ?? "demo";
var who = params.get("who") === "ben" ? "ben" : "ana";
var YEARS_MS = 10 * 365.25 * 864e5;
var SLOW_MS = 900;
function report(told) {
  if (window.parent !== window) window.parent.postMessage({ tidegate: true, who, at: now(), ...told }, location.origin);
}
var SlowSocket = class extends WebSocket {
  send(data) {
    const go = () => {
      if (this.readyState === WebSocket.OPEN) super.send(data);
    };
    if (settings.slow) setTimeout(go, SLOW_MS);
    else go();
  }
  set onmessage(listener) {
    let due = 0;
    super.onmessage = listener && ((event) => {
      due = Math.max(due, now() + (settings.slow ? SLOW_MS : 0));
      if (due <= now()) listener.call(this, event);
      else setTimeout(() => {
        if (this.readyState === WebSocket.OPEN) listener.call(this, event);
      }, due - now());
    });
  }
};
var settingsKey = `tidegate-demo:${room}:${who}`;
var settings = { airplane: false, slow: false, clock: false, ...JSON.parse(localStorage.getItem(settingsKey) ?? "{}") };
var wall = () => Date.now() + (settings.clock ? YEARS_MS : 0);
var user = `${who}-${room}`;
var client = createClient({
  name: user,
  backgroundSync: true,
  autoConnect: !settings.airplane,
  clock: { mono: () => performance.now(), wall },
  WebSocket: SlowSocket,
  getToken: async () => {
    const response = await fetch(`/dev/token?user=${user}`);
    return (await response.json()).token;
  },
  onFrame: ({ isOut, text, frame }) => report({ kind: "frame", isOut, text: text.slice(0, 1200), frame: frame ?? JSON.parse(text) })
});
var phone = {
  who,
  client,
  me: user,
  them: `${other(who)}-${room}`,
  theirName: TITLES[other(who)],
  writing: 0,
  wall,
  space: (kind) => kind.startsWith("chat") ? client.space(`${kind}-${room}`, { presence: true }) : client.space(`${kind}:ana-${room}`),
  async write(space, label, operations) {
    const began = now();
    phone.writing++;
    try {
      const write = await space.write(operations);
      report({ kind: "written", space: write.space, id: write.id, label, began });
      return write;
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
      return null;
    } finally {
      phone.writing--;
    }
  },
  step: (step) => report({ kind: "step", step })
};
var GOODS = [["tea", "Green tea", 4.2], ["bread", "Rye bread", 3.1], ["pears", "Pears", 2.75], ["honey", "Honey", 6.5]];
async function found() {
  await client.waitForFirstSync();
  const ben = `ben-${room}`, share = { op: "put", collection: "members", id: ben, body: { role: "writer" } };
  const isNew = (space, path) => space.doc(path).get().then((doc) => doc === void 0);
  for (const [kind, title2] of ROOMS) {
    const space = phone.space(`chat:${kind}`);
    if (await isNew(space, "room/settings")) await phone.write(space, `room ${title2}`, [{ op: "put", collection: "room", id: "settings", body: { title: title2, join: "open" } }]);
  }
  const shared = [
    ["cart", GOODS.map(([id, name, price]) => ({ op: "put", collection: "items", id, body: { name, qty: 1, price } }))],
    ["todos", [["1-tent", "Borrow the tent", false], ["2-map", "Print the map", true]].map(([id, title2, done]) => ({ op: "put", collection: "todos", id, body: { title: title2, done } }))],
    ["notes", [{ op: "put", collection: "notes", id: "trip", body: { title: "Trip", text: "Ask whether the bakery is open on Sunday." } }]],
    ["workouts", []]
  ];
  for (const [kind, operations] of shared) if (await isNew(phone.space(kind), `members/${ben}`)) await phone.write(phone.space(kind), `shares ${kind}`, [share, ...operations]);
}
var live = h("p", { class: "sr", role: "status", "aria-live": "polite" });
var toast = h("p", { class: "toast", hidden: true });
function say(text) {
  live.textContent = toast.textContent = text;
  toast.hidden = false;
  setTimeout(() => {
    toast.hidden = true;
  }, 4e3);
}
function toggle(name, label, hint, apply) {
  const button = h("button", { class: `toggle ${name}`, type: "button", role: "switch", "aria-checked": String(settings[name]), title: hint }, icon({ airplane: "plane", slow: "slow", clock: "clock" }[name], 17), h("span", {}, label));
  button.addEventListener("click", () => {
    settings[name] = !settings[name];
    button.setAttribute("aria-checked", String(settings[name]));
    localStorage.setItem(settingsKey, JSON.stringify(settings));
    apply();
    draw();
  });
  return button;
}
var title = TITLES[who];
var controls = h(
  "div",
  { class: "controls", role: "group", "aria-label": `What ${title}'s phone has to bear` },
  toggle("airplane", "Airplane", "No network at all", () => {
    if (settings.airplane) client.disconnect();
    else client.connect();
    phone.step(settings.airplane ? "offline" : "back");
  }),
  toggle("slow", "Slow", "Everything takes almost a second each way", () => phone.step("slow")),
  toggle("clock", "+10 years", "The clock of this phone is ten years wrong", () => phone.step("clock")),
  h("button", { class: "kill", type: "button", hidden: window.parent === window, title: "Kills the app at once, whatever it is doing", onclick: () => report({ kind: "kill" }) }, icon("kill", 17), h("span", {}, "Kill"))
);
var TABS = [["chat", "Chat", chat], ["cart", "Cart", cart], ["todos", "To-dos", todos], ["note", "Note", note], ["workout", "Workout", workout]];
var time = h("time", {});
var state = h("span", { class: "state" });
var outbox = h("span", { class: "outbox", hidden: true });
var apps = /* @__PURE__ */ new Map();
var panels = h("div", { class: "panels" });
var tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Apps" });
var current = params.get("tab") ?? "chat";
function choose(name, isFocused = false) {
  current = name;
  for (const [id] of TABS) {
    const isShown = id === name, tab = document.getElementById(`tab-${id}`);
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    if (isShown && isFocused) tab.focus();
    document.getElementById(`panel-${id}`).hidden = !isShown;
    apps.get(id)?.shown?.(isShown);
  }
  history.replaceState(null, "", `?${new URLSearchParams({ who, room, tab: name })}`);
}
function build() {
  TABS.forEach(([id, label, make], i) => {
    const app = make(phone);
    apps.set(id, app);
    const tab = h("button", { id: `tab-${id}`, type: "button", role: "tab", "aria-controls": `panel-${id}`, onclick: () => choose(id) }, icon(id, 21), h("span", {}, label), h("b", { class: "badge", hidden: true }));
    tab.addEventListener("keydown", ({ key }) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (by) choose(TABS[(i + by + TABS.length) % TABS.length][0], true);
    });
    tabs.append(tab);
    panels.append(h("div", { id: `panel-${id}`, role: "tabpanel", "aria-labelledby": `tab-${id}`, class: "panel" }, app.element));
  });
  document.body.dataset.who = who;
  document.title = `${title}'s phone`;
  document.querySelector("main").append(controls, h("div", { class: "case" }, h(
    "div",
    { class: "screen" },
    h("header", {}, time, h("h1", {}, h("span", { class: "avatar", "aria-hidden": "true" }, title[0]), `${title}'s phone`), state),
    outbox,
    panels,
    tabs,
    toast
  )), live);
}
var draw = onFrame(() => {
  const { connected, uploading, paused, error } = client.status, at = new Date(wall());
  const text = paused ? "airplane" : !connected ? "searching" : settings.slow ? "slow" : "online";
  if (state.textContent !== text) state.textContent = text;
  state.className = `state ${text}`;
  state.title = error?.message ?? "";
  time.textContent = `${at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}${settings.clock ? ` ${at.getFullYear()}` : ""}`;
  time.classList.toggle("wrong", settings.clock);
  outbox.hidden = uploading === 0 || connected;
  outbox.textContent = `${uploading} ${uploading === 1 ? "change waits" : "changes wait"} for the network`;
  document.body.classList.toggle("offline", !connected);
  for (const [id, app] of apps) {
    const count = app.badge?.() ?? 0, badge = document.querySelector(`#tab-${id} .badge`);
    badge.hidden = count === 0;
    badge.textContent = String(count);
  }
  const spaces = {};
  for (const kind of ["chat:house", "chat:trip", "cart", "todos", "notes", "workouts"]) {
    const { cursor, sums } = phone.space(kind).position;
    spaces[kind] = `${cursor} ${JSON.stringify(Object.entries(sums).filter(([, sum]) => !/^0*$/.test(sum)).sort())}`;
  }
  report({ kind: "status", connected, uploading, refused: client.refused().length, device: client.deviceId, spaces });
});
build();
for (const kind of ["cart", "todos", "notes", "workouts"]) phone.space(kind);
choose(TABS.some(([id]) => id === current) ? current : "chat");
client.onStatus(draw);
client.onOutcome(draw);
client.onRefused((refused) => {
  for (const one of refused) if (one.status !== "conflict" && one.code !== "conflict") {
    say(`Not accepted: ${one.message || one.code}`);
    void client.dismiss(one.key);
  }
  draw();
});
setInterval(draw, 1e3);
draw();
if (who === "ana") void client.ready.then(found);
Object.assign(window, { phone });
export {
  draw
};
