/* The cart: counters that both press at once, and every press counts. */
import { newId } from '@tidegate/client';
import { h, onFrame } from './dom.js';
import type { App, Phone } from './phone.js';

interface Item { name: string; qty: number; price?: number; [more: string]: unknown }

export function cart(phone: Phone): App {
  const space = phone.space('cart'), items = space.collection<Item>('items');
  const list = h('ul', { class: 'scroll items', tabindex: 0, 'aria-label': 'Cart' }), total = h('output', {});
  const input = h('input', { name: 'item', maxlength: 40, autocomplete: 'off', placeholder: 'Add something', 'aria-label': 'Add to the cart' });
  const rows = new Map<string, { row: HTMLElement; name: HTMLElement; qty: HTMLOutputElement; price: HTMLElement }>();

  const press = (id: string, name: string, by: number) => {
    void phone.write(space, `${by > 0 ? '+1' : '−1'} ${name}`, [{ op: 'incr', collection: 'items', id, field: 'qty', by, min: 0, max: 999 }]);
    phone.step('pressed');
  };
  const make = (id: string, title: string) => {
    const name = h('span', { class: 'name' }), qty = h('output', {}), price = h('small', {});
    const button = (sign: string, by: number, words: string) => h('button', { type: 'button', 'aria-label': `One ${words}: ${title}`, onclick: () => press(id, title, by) }, sign);
    const row = h('li', { 'data-id': id }, h('div', { class: 'what' }, name, price), button('−', -1, 'fewer'), qty, button('+', 1, 'more'));
    rows.set(id, { row, name, qty, price });
    return rows.get(id)!;
  };
  const draw = onFrame(() => {
    const docs = [...(items.current()?.docs ?? [])].sort((a, b) => String(a.data.name).localeCompare(String(b.data.name)));
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
      price.textContent = doc.data.price === undefined ? '' : `${Number(doc.data.price).toFixed(2)} each`;
      row.classList.toggle('pending', doc.pending === 'queued');
    });
    total.textContent = docs.reduce((sum, { data }) => sum + Number(data.price ?? 0) * Number(data.qty ?? 0), 0).toFixed(2);
  });
  items.onSnapshot(draw);
  const form = h('form', { class: 'compose' }, input, h('button', { type: 'submit', class: 'primary' }, 'Add'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    input.value = '';
    void phone.write(space, `adds ${name}`, [{ op: 'put', collection: 'items', id: newId(), body: { name, qty: 1 }, if: 'absent' }]);
  });
  return { element: h('div', { class: 'app' }, h('p', { class: 'hint' }, 'One cart, two phones. Press + on both at once.'), list, h('p', { class: 'total' }, 'Total ', total), form) };
}
