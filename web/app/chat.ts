/* The chat: two rooms, who is there, who types, and a tick for each stage of a message's way.
 *   clock: waits on this phone   ✓: safe in the log   ✓✓: on the other phone   ✓✓ in colour: read there
 */
import { newId, type Doc, type Space } from '@tidegate/client';
import { h, icon, onFrame, ROOMS } from './dom.js';
import { VirtualList } from './list.js';
import type { App, Phone } from './phone.js';

interface Message { text: string; [more: string]: unknown }
type Stage = 'waits' | 'sent' | 'delivered' | 'read';
const STAGES: Record<Stage, [shape: string, words: string]> = { waits: ['wait', 'waits for the network'], sent: ['one', 'sent'], delivered: ['two', 'delivered'], read: ['two', 'read'] };
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });
const TYPING_MS = 1500, TYPED_MS = 3000;

export function chat(phone: Phone): App {
  const spaces = new Map(ROOMS.map(([id]) => [id, phone.space(`chat:${id}`)]));
  let room = ROOMS[0]![0], isShown = false, toldTyping = -Infinity, typing = 0;
  const space = (): Space => spaces.get(room)!;
  const list = new VirtualList('Messages', 'messages', 'No messages yet. Say something.');
  const input = h('input', { name: 'text', maxlength: 1000, autocomplete: 'off', placeholder: 'Message', 'aria-label': `Message from ${phone.who === 'ana' ? 'Ana' : 'Ben'}` });
  const form = h('form', { class: 'compose' }, input, h('button', { type: 'submit', 'aria-label': 'Send', class: 'primary' }, icon('send', 18)));
  const rooms = h('div', { class: 'rooms', role: 'group', 'aria-label': 'Rooms' }), note = h('p', { class: 'typing', 'aria-live': 'polite' }), there = h('p', { class: 'there' });
  const said = h('p', { class: 'sr', 'aria-live': 'polite' });

  const unread = (id: string) => {
    const of = spaces.get(id)!, mine = of.receipts.of(phone.me).read;
    return of.collection<Message>('messages').current()?.docs.filter((doc) => doc.user !== phone.me && (doc.born ?? 0) > mine).length ?? 0;
  };
  const stage = (doc: Doc<Message>): Stage => {
    if (doc.pending === 'queued') return 'waits';
    if (doc.pending === 'sent' || doc.born === undefined) return 'sent';
    const { delivered, read } = space().receipts.of(phone.them);
    return doc.born <= read ? 'read' : doc.born <= Math.max(delivered, read) ? 'delivered' : 'sent';
  };
  const row = (doc: Doc<Message>) => {
    const isMine = doc.user === phone.me, at = isMine ? stage(doc) : 'sent', [shape, words] = STAGES[at];
    return {
      key: doc.id, version: `${doc.raw} ${isMine ? at : ''}`,
      render: () => h('div', { class: `message ${isMine ? 'mine' : 'theirs'} ${at}`, 'data-id': doc.id },
        h('div', { class: 'bubble' }, h('span', { class: 'text' }, doc.data.text), h('small', {}, clock.format(doc.time), isMine && icon(shape, 15), isMine && h('span', { class: 'sr' }, ` ${words}`)))),
    };
  };
  const draw = onFrame(() => {
    const snapshot = space().collection<Message>('messages').current();
    if (!snapshot) return;
    list.show(snapshot.docs.map(row));
    if (snapshot.docs.length > 0 && performance.getEntriesByName('messages:shown').length === 0) requestAnimationFrame(() => performance.mark('messages:shown'));
    rooms.replaceChildren(...ROOMS.map(([id, title]) => {
      const count = id === room && isShown ? 0 : unread(id);
      return h('button', { type: 'button', class: 'chip', 'aria-pressed': String(id === room), onclick: () => choose(id) }, title, count > 0 && h('b', { class: 'badge' }, String(count)), count > 0 && h('span', { class: 'sr' }, ' unread'));
    }));
    const { here } = space().here(), isHere = here.some(({ user }) => user === phone.them);
    there.textContent = !phone.client.status.connected ? 'You are offline' : isHere ? `${phone.theirName} is here` : `${phone.theirName} is away`;
    there.classList.toggle('on', isHere && phone.client.status.connected);
  });
  /* What has arrived is delivered; what is looked at is read. */
  const mark = (of: Space) => {
    const docs = of.collection<Message>('messages').current()?.docs ?? [];
    const last = docs.findLast((doc) => doc.pending === null && doc.user !== phone.me)?.born;
    if (last === undefined) return;
    if (of === space() && isShown && document.visibilityState === 'visible') void of.receipts.markRead(last);
    else void of.receipts.markDelivered(last);
  };
  const choose = (id: string) => {
    room = id;
    list.element.scrollTop = 0;
    draw();
    requestAnimationFrame(() => list.toEnd());
    mark(space());
  };

  for (const of of spaces.values()) {
    let last = '';
    of.collection<Message>('messages').onSnapshot(({ docs }) => {
      mark(of);
      draw();
      const newest = docs.at(-1);
      if (newest && newest.id !== last && newest.user !== phone.me && of === space() && isShown && last !== '') said.textContent = `${phone.theirName}: ${newest.data.text}`;
      last = newest?.id ?? '-';
      if (newest && newest.user !== phone.me && of === space()) note.textContent = '';
    });
    of.receipts.onChange(draw);
    of.onPresence(draw);
    of.onSignal(({ user, body }) => {
      if (of !== space() || user !== phone.them || !(body as { typing?: boolean }).typing) return;
      note.textContent = `${phone.theirName} is typing…`;
      clearTimeout(typing);
      typing = window.setTimeout(() => { note.textContent = ''; }, TYPED_MS);
    });
  }
  phone.client.onStatus(draw);
  document.addEventListener('visibilitychange', () => mark(space()));
  input.addEventListener('input', () => {
    if (performance.now() - toldTyping < TYPING_MS || !input.value) return;
    toldTyping = performance.now();
    space().signal({ typing: true });
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = '';
    toldTyping = -Infinity;
    void phone.write(space(), `“${text.slice(0, 24)}”`, [{ op: 'append', collection: 'messages', id: newId(), body: { text } }]);
    phone.step('said');
    list.toEnd();
  });
  return {
    element: h('div', { class: 'app chat' }, rooms, there, list.element, note, form, said),
    badge: () => (isShown ? 0 : ROOMS.reduce((sum, [id]) => sum + unread(id), 0)),
    shown: (now) => {
      isShown = now;
      if (!now) return;
      mark(space());
      draw();
      requestAnimationFrame(() => list.toEnd());
    },
  };
}
