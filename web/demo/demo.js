// The page at /: two devices of client.js side by side, each with a store of its own, and what travels between them.
import { Device } from './client.js';

const room = new URLSearchParams(location.search).get('room') ?? localStorage.getItem('tidegate:room') ?? Math.random().toString(36).slice(2, 8);
localStorage.setItem('tidegate:room', room);
const $ = (selector, within = document) => within.querySelector(selector);
const spaces = { chat: `chat:${room}`, cart: `cart:ana-${room}`, notes: `notes:ana-${room}` };
const people = [{ id: 'ana', title: 'Ana', place: 'her phone' }, { id: 'ben', title: 'Ben', place: 'his laptop' }];
const titleOf = (user) => people.find((p) => user === `${p.id}-${room}`)?.title ?? user;
const goods = [{ id: 'tea', name: 'Green tea' }, { id: 'bread', name: 'Rye bread' }, { id: 'pears', name: 'Pears' }];
const done = new Set(JSON.parse(localStorage.getItem(`tidegate:steps:${room}`) ?? '[]'));
const steps = [
  ['said', 'Write a message on one device.'], ['both', 'Press + on both carts at once: every press counts.'], ['offline', 'Take Ben offline, and change things on both.'],
  ['back', 'Put him back: both carts and chats agree.'], ['conflict', 'Edit the note on both while one is offline: you are asked.'], ['settled', 'Settle it: both show the same.']];
const phones = [];

function tick(step) {
  if (done.has(step)) return;
  done.add(step);
  localStorage.setItem(`tidegate:steps:${room}`, JSON.stringify([...done]));
  showSteps();
}
function showSteps() {
  $('#steps').replaceChildren(...steps.map(([key, text]) => {
    const li = document.createElement('li');
    li.append(text);
    li.className = done.has(key) ? 'done' : '';
    if (done.has(key)) li.setAttribute('aria-label', `Done: ${text}`);
    return li;
  }));
}

class Phone {
  constructor(person) {
    this.person = person;
    this.root = $('#phone').content.firstElementChild.cloneNode(true);
    this.root.id = person.id;
    this.root.setAttribute('aria-label', `${person.title} on ${person.place}`);
    $('#devices').append(this.root);
    const key = `tidegate:device:${room}:${person.id}`;
    this.device = new Device({
      name: person.title, key, store: localStorage, device: `${person.id}-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`,
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`,
      token: async () => (await (await fetch(`/dev/token?user=${person.id}-${room}`)).json()).token,
    });
    this.wire();
    this.device.on('change', () => this.later()).on('frame', (event) => showFrame(this, event)).on('signal', (frame) => this.heard(frame));
    this.device.open(spaces.chat, { presence: true });
    this.device.open(spaces.cart);
    this.device.open(spaces.notes);
    if (person.id === 'ana' && this.device.state.next === 1) this.found();
    this.device.start();
    this.render();
  }

  // Ana makes the room, and shares her cart and notes with Ben: documents like any other.
  found() {
    const ben = `ben-${room}`;
    this.device.push(spaces.chat, [{ op: 'put', collection: 'room', id: 'settings', body: { title: 'Demo', join: 'open' } }]);
    this.device.push(spaces.cart, [{ op: 'put', collection: 'members', id: ben, body: { role: 'writer' } }, ...goods.map((g) => ({ op: 'put', collection: 'items', id: g.id, body: { name: g.name, qty: 1 } }))]);
    this.device.push(spaces.notes, [{ op: 'put', collection: 'members', id: ben, body: { role: 'writer' } }, { op: 'put', collection: 'notes', id: 'shopping', base: 0, body: { title: 'Shopping', text: 'Ask whether the bakery is open on Sunday.' } }]);
  }

  wire() {
    const { root, device, person } = this;
    $('.avatar', root).textContent = person.title[0];
    $('.name', root).textContent = person.title;
    $('input[name=text]', root).setAttribute('aria-label', `Message from ${person.title}`);
    $('.note > textarea', root).setAttribute('aria-label', `${person.title}'s note`);
    $('.airplane input', root).addEventListener('change', (event) => {
      device.setOffline(event.target.checked);
      if (event.target.checked) tick('offline'); else if (done.has('offline')) tick('back');
    });
    $('.chat form', root).addEventListener('submit', (event) => {
      event.preventDefault();
      const input = event.target.elements.text, text = input.value.trim();
      if (!text) return;
      device.push(spaces.chat, [{ op: 'append', collection: 'messages', id: crypto.randomUUID?.() ?? String(Math.random()), body: { text } }]);
      input.value = '';
      tick('said');
    });
    let told = -Infinity;
    $('.chat input', root).addEventListener('input', () => {
      if (performance.now() - told < 1500) return;
      told = performance.now();
      device.signal(spaces.chat, { typing: true });
    });
    const note = $('.note > textarea', root);
    note.addEventListener('focus', () => { this.editing = device.state.spaces[spaces.notes]?.docs['notes/shopping']?.rev ?? 0; });
    note.addEventListener('input', () => { this.dirty = true; this.later(); });
    $('.keep', root).addEventListener('click', () => this.saveNote(note.value, this.editing ?? 0));
    $('.conflict', root).addEventListener('close', () => this.settle());
  }

  saveNote(text, base) {
    this.dirty = false;
    this.device.push(spaces.notes, [{ op: 'patch', collection: 'notes', id: 'shopping', base, body: { text } }]);
    this.editing = this.device.state.spaces[spaces.notes]?.docs['notes/shopping']?.rev ?? 0;
  }
  press(item, by) {
    this.device.push(spaces.cart, [{ op: 'incr', collection: 'items', id: item, field: 'qty', by, min: 0, max: 999 }]);
    this.pressed = performance.now();
    const other = phones.find((phone) => phone !== this);
    if (other?.pressed && this.pressed - other.pressed < 3000) tick('both');
  }
  heard(frame) {
    if (frame.space !== spaces.chat) return;
    $('.typing', this.root).textContent = `${titleOf(frame.user)} is typing…`;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => { $('.typing', this.root).textContent = ''; }, 3000);
  }

  conflicted() { return this.device.state.refused.find((r) => r.status === 'conflict' && r.space === spaces.notes); }
  ask() {
    const dialog = $('.conflict', this.root), conflict = this.conflicted();
    if (!conflict || dialog.open) return;
    const mine = conflict.ops.at(-1).body.text;
    const theirs = this.device.state.spaces[spaces.notes].docs['notes/shopping'] ?? conflict.docs[0];
    $('.mine', dialog).textContent = mine;
    $('.theirs', dialog).textContent = theirs?.body?.text ?? '';
    $('.both', dialog).value = `${theirs?.body?.text ?? ''}\n${mine}`;
    dialog.returnValue = '';
    tick('conflict');
    dialog.show();
  }
  settle() {
    const dialog = $('.conflict', this.root), conflict = this.conflicted(), choice = dialog.returnValue;
    if (!conflict || !choice) return;
    const rev = this.device.state.spaces[spaces.notes].docs['notes/shopping']?.rev ?? 0;
    this.device.settle(conflict.id);
    this.dirty = false;
    if (choice !== 'theirs') this.saveNote(choice === 'both' ? $('.both', dialog).value : $('.mine', dialog).textContent, rev);
    tick('settled');
    this.later();
  }

  later() { if (!this.queued) { this.queued = true; requestAnimationFrame(() => { this.queued = false; this.render(); }); } }
  render() {
    const { root, device } = this, pending = device.state.outbox.length;
    root.classList.toggle('offline', device.offline);
    root.classList.toggle('live', device.connected);
    $('.status', root).textContent = device.offline ? 'offline: works on its own copy' : device.connected ? 'in step' : 'connecting…';
    const others = device.here(spaces.chat).filter((entry) => entry.user !== device.user).map((entry) => titleOf(entry.user));
    $('.other', root).textContent = device.connected ? (others.length ? `${others.join(', ')} here` : 'nobody else here') : '';
    $('.outbox', root).textContent = pending ? `${pending} ${pending === 1 ? 'change waits' : 'changes wait'} in the outbox` : 'Everything is on the server.';
    $('.outbox', root).classList.toggle('some', pending > 0);
    this.renderChat();
    this.renderCart();
    const note = $('.note > textarea', root), doc = device.doc(spaces.notes, 'notes', 'shopping');
    if (!this.dirty && note.value !== (doc?.body.text ?? '')) note.value = doc?.body.text ?? '';
    $('.noted', root).textContent = this.dirty ? 'not saved' : doc?.pending ? 'on its way' : doc ? 'saved' : '';
    this.ask();
    showCounters();
  }
  renderChat() {
    const list = $('.messages', this.root), messages = this.device.docs(spaces.chat, 'messages');
    const seen = messages.map((m) => `${m.id}${m.pending ?? ''}${m.acked ?? ''}`).join();
    if (seen === this.seen) return;
    this.seen = seen;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
    const empty = document.createElement('li');
    empty.className = 'empty';
    empty.textContent = 'Nothing said yet.';
    list.replaceChildren(...(messages.length ? messages.map((m) => this.bubble(m)) : [empty]));
    if (atEnd) list.scrollTop = list.scrollHeight;
  }
  bubble(message) {
    const li = document.createElement('li'), small = document.createElement('small'), mine = message.pending || message.user === this.device.user;
    li.dataset.id = message.id;
    li.className = mine ? 'mine' : '';
    li.append(message.body.text);
    const state = !mine ? '' : !message.pending ? '✓✓' : message.acked ? '✓' : '◷';
    small.textContent = state;
    small.setAttribute('aria-label', { '✓✓': 'with everyone', '✓': 'safe on the server', '◷': 'waiting' }[state] ?? '');
    if (state) small.setAttribute('role', 'img');
    if (mine) li.append(small);
    return li;
  }
  renderCart() {
    const list = $('.items', this.root), items = this.device.docs(spaces.cart, 'items').sort((a, b) => (a.body.name ?? a.id).localeCompare(b.body.name ?? b.id));
    for (const item of items) {
      let li = list.querySelector(`[data-id="${item.id}"]`);
      if (!li) {
        li = document.createElement('li');
        li.dataset.id = item.id;
        const name = document.createElement('span'), less = document.createElement('button'), more = document.createElement('button'), quantity = document.createElement('output');
        name.textContent = item.body.name ?? item.id;
        less.textContent = '−';
        more.textContent = '+';
        less.setAttribute('aria-label', `One ${name.textContent} fewer, ${this.person.title}`);
        more.setAttribute('aria-label', `One ${name.textContent} more, ${this.person.title}`);
        less.onclick = () => this.press(item.id, -1);
        more.onclick = () => this.press(item.id, 1);
        li.append(name, less, quantity, more);
        list.insertBefore(li, [...list.children].find((other) => other.firstChild.textContent.localeCompare(name.textContent) > 0) ?? null);
      }
      $('output', li).textContent = item.body.qty ?? 0;
      li.classList.toggle('pending', !!item.pending);
    }
  }
}

function showCounters() {
  const sum = (key) => phones.reduce((total, phone) => total + phone.device.counters[key], 0);
  const rows = [['pushes sent', sum('pushes')], ['sent again', sum('resent')], ['acks: durable', sum('acks')], ['updates received', sum('updates')],
    ['in outboxes', phones.reduce((total, phone) => total + phone.device.state.outbox.length, 0)]];
  $('#counters').replaceChildren(...rows.flatMap(([name, value]) => {
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    return [dt, dd];
  }));
}
function showFrame(phone, { out, frame }) {
  const li = document.createElement('li'), type = document.createElement('b');
  li.className = phone.person.id;
  type.textContent = `${phone.person.title} ${out ? '→' : '←'} ${frame.type} `;
  const text = JSON.stringify(frame, (key, value) => (key === 'token' ? '…' : value));
  li.append(type, text.slice(0, 160));
  li.title = text.slice(0, 2000);
  const list = $('#frames');
  list.prepend(li);
  while (list.children.length > 60) list.lastChild.remove();
}

$('#room').textContent = room;
$('#copy').onclick = async (event) => { await navigator.clipboard?.writeText(`${location.origin}/?room=${room}`); event.target.textContent = 'Copied'; };
$('#fresh').onclick = () => { location.search = `?room=${Math.random().toString(36).slice(2, 8)}`; };
showSteps();
for (const person of people) phones.push(new Phone(person));
showCounters();
window.phones = phones; // for the curious, and for tests
