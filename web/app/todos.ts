/* The to-dos: each field merges by itself, so one may rename what the other ticks off. */
import { newId, type Doc } from '@tidegate/client';
import { h, icon, onFrame } from './dom.js';
import type { App, Phone } from './phone.js';

interface Todo { title: string; done: boolean; [more: string]: unknown }

export function todos(phone: Phone): App {
  const space = phone.space('todos'), all = space.collection<Todo>('todos');
  const list = h('ul', { class: 'scroll todos', tabindex: 0, 'aria-label': 'To-dos' });
  const input = h('input', { name: 'todo', maxlength: 120, autocomplete: 'off', placeholder: 'What is to be done?', 'aria-label': 'New to-do' });
  const rows = new Map<string, HTMLElement>();
  /* To-dos with a change on its way into the store: the page shows it already, and is not drawn back to what was. */
  const changing = new Map<string, number>();
  const change = async (id: string, label: string, body: Partial<Todo>) => {
    changing.set(id, (changing.get(id) ?? 0) + 1);
    await phone.write(space, label, [{ op: 'patch', collection: 'todos', id, body }]);
    changing.set(id, changing.get(id)! - 1);
    draw();
  };

  const make = (doc: Doc<Todo>) => {
    const { id } = doc, title = () => all.doc(id).current()?.data.title ?? '';
    const box = h('input', { type: 'checkbox' }), text = h('input', { class: 'title', maxlength: 120, 'aria-label': 'Title' });
    box.addEventListener('change', () => {
      void change(id, `${box.checked ? 'ticks' : 'unticks'} ${title()}`, { done: box.checked });
      phone.step('ticked');
    });
    text.addEventListener('change', () => {
      if (text.value.trim() && text.value !== title()) void change(id, `renames ${title()}`, { title: text.value.trim() });
    });
    const remove = h('button', { type: 'button', class: 'quiet', onclick: () => void phone.write(space, `removes ${title()}`, [{ op: 'delete', collection: 'todos', id }]) }, icon('trash', 17));
    return h('li', { 'data-id': id }, box, text, remove);
  };
  const draw = onFrame(() => {
    const docs = all.current()?.docs ?? [], ids = new Set(docs.map((doc) => doc.id));
    for (const [id, row] of rows) if (!ids.has(id)) {
      row.remove();
      rows.delete(id);
    }
    docs.forEach((doc, i) => {
      let row = rows.get(doc.id);
      if (!row) rows.set(doc.id, (row = make(doc)));
      if (list.children[i] !== row) list.insertBefore(row, list.children[i] ?? null);
      const [box, text, remove] = row.children as unknown as [HTMLInputElement, HTMLInputElement, HTMLElement];
      const isChanging = (changing.get(doc.id) ?? 0) > 0;
      if (!isChanging) box.checked = doc.data.done === true;
      box.setAttribute('aria-label', `Done: ${doc.data.title}`);
      remove.setAttribute('aria-label', `Remove: ${doc.data.title}`);
      if (!isChanging && document.activeElement !== text && text.value !== doc.data.title) text.value = doc.data.title ?? '';
      row.classList.toggle('done', box.checked);
      row.classList.toggle('pending', doc.pending === 'queued');
    });
  });
  all.onSnapshot(draw);
  const form = h('form', { class: 'compose' }, input, h('button', { type: 'submit', class: 'primary' }, 'Add'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const title = input.value.trim();
    if (!title) return;
    input.value = '';
    void phone.write(space, `adds ${title}`, [{ op: 'put', collection: 'todos', id: newId(), body: { title, done: false } }]);
  });
  return { element: h('div', { class: 'app' }, h('p', { class: 'hint' }, 'Rename here, tick off there: both stand.'), list, form) };
}
