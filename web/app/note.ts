/* The note: two versions made without knowing of each other are never mixed by guess; their user settles it, side by side. */
import type { Refused } from '@tidegate/client';
import { h, onFrame } from './dom.js';
import type { App, Phone } from './phone.js';

interface Note { title: string; text: string; [more: string]: unknown }

const textOf = (body: string | undefined) => (body === undefined ? '' : ((JSON.parse(body) as Partial<Note>).text ?? ''));

export function note(phone: Phone): App {
  const space = phone.space('notes'), doc = space.doc<Note>('notes/trip');
  const area = h('textarea', { 'aria-label': `The note, as ${phone.who === 'ana' ? 'Ana' : 'Ben'} has it` });
  const save = h('button', { type: 'button', class: 'primary' }, 'Save'), state = h('span', { class: 'saved' });
  const mine = h('pre', { tabindex: 0, 'aria-label': 'Yours' }), theirs = h('pre', { tabindex: 0, 'aria-label': 'Theirs' }), both = h('textarea', { rows: 3 });
  const choice = (value: string, text: string) => h('button', { type: 'button', value, onclick: () => void settle(value) }, text);
  const dialog = h('section', { class: 'conflict', hidden: true, 'aria-label': 'Two versions of one note' },
    h('h2', { tabindex: -1 }, 'Two versions of one note'), h('p', {}, 'Both were written without knowing of the other. Nothing is lost: which one shall it be?'),
    h('div', { class: 'sides' }, h('figure', {}, h('figcaption', {}, 'Yours'), mine, choice('mine', 'Keep yours')), h('figure', {}, h('figcaption', {}, 'Theirs'), theirs, choice('theirs', 'Keep theirs'))),
    h('label', {}, 'Or both, as you like it', both), choice('both', 'Keep this'));
  let isDirty = false, isSaving = false, base: number | undefined, conflict: Refused | undefined;

  const write = async (text: string, from: number | undefined) => {
    isSaving = true;
    draw();
    const write = await phone.write(space, 'saves the note', [{ op: 'patch', collection: 'notes', id: 'trip', body: { text }, ...(from !== undefined && { base: from }) }]);
    isSaving = false;
    if (write && area.value === text) { /* else more was typed meanwhile: it is still to be saved */
      isDirty = false;
      base = undefined;
    }
    draw();
  };
  async function settle(value: string): Promise<void> {
    const settled = conflict;
    if (!settled) return;
    conflict = undefined;
    dialog.hidden = true;
    isDirty = false;
    base = undefined;
    if (value === 'theirs') await phone.client.dismiss(settled.key);
    else await phone.client.retry(settled.key, [{ op: 'patch', collection: 'notes', id: 'trip', body: { text: value === 'both' ? both.value : mine.textContent } }]);
    phone.step('settled');
    draw();
    area.focus();
  }
  const draw = onFrame(() => {
    const now = doc.current();
    if (!isDirty && now && area.value !== now.data.text) area.value = now.data.text ?? '';
    save.disabled = !isDirty || isSaving;
    state.textContent = isDirty ? 'Not saved yet' : !now ? '' : now.pending === 'queued' ? 'Saved on this phone' : now.pending === 'sent' ? 'Safe in the log' : 'In step';
  });
  area.addEventListener('input', () => {
    if (!isDirty) base = doc.current()?.rev;
    isDirty = true;
    draw();
  });
  save.addEventListener('click', () => void write(area.value, base));
  doc.onSnapshot(draw);
  phone.client.onRefused((refused) => {
    const found = refused.find((one) => one.status === 'conflict' && one.space === space.name);
    if (!found || found.key === conflict?.key) return;
    conflict = found;
    const yours = textOf(found.ops.at(-1)?.body), server = doc.current()?.raw ?? found.docs[0]?.body;
    mine.textContent = yours;
    theirs.textContent = textOf(server);
    both.value = `${textOf(server)}\n${yours}`;
    dialog.hidden = false;
    dialog.querySelector<HTMLElement>('h2')!.focus();
    phone.step('conflict');
  });
  return {
    element: h('div', { class: 'app note' }, h('p', { class: 'hint' }, 'Take one phone offline, change the note on both.'), area, h('p', { class: 'actions' }, save, state), dialog),
    badge: () => (conflict ? 1 : 0),
  };
}
