/* A workout: a sample a second into the outbox, network or none; it arrives whole when there is one again. */
import { newId } from '@tidegate/client';
import { h, onFrame, svg } from './dom.js';
import type { App, Phone } from './phone.js';

interface Workout { kind: string; started: number; ended?: number; [more: string]: unknown }
interface Sample { t: number; bpm: number; workout: string; [more: string]: unknown }
const KINDS = ['Run', 'Row', 'Ride'], WIDTH = 280, HEIGHT = 84;

function curve(samples: readonly Sample[]): SVGElement {
  const bpm = samples.map((one) => one.bpm), low = Math.min(60, ...bpm), high = Math.max(150, ...bpm), most = Math.max(8, samples.length - 1);
  const points = bpm.map((value, i) => `${((i / most) * WIDTH).toFixed(1)},${(HEIGHT - 6 - ((value - low) / (high - low)) * (HEIGHT - 12)).toFixed(1)}`).join(' ');
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'curve', preserveAspectRatio: 'none', role: 'img', 'aria-label': `Heart rate, ${bpm.length} samples, last ${bpm.at(-1) ?? 0}` }, svg('polyline', { points, fill: 'none' }));
}

export function workout(phone: Phone): App {
  const space = phone.space('workouts'), all = space.collection<Workout>('workouts'), samples = space.collection<Sample>('samples');
  const list = h('div', { class: 'scroll workouts', tabindex: 0, role: 'region', 'aria-label': 'Workouts' }), start = h('button', { type: 'button', class: 'primary wide' });
  let running: { id: string; timer: number; bpm: number; count: number } | null = null;

  const sample = () => {
    if (!running) return;
    running.bpm = Math.round(Math.min(178, Math.max(88, running.bpm + (Math.random() - 0.42) * 9)));
    running.count++;
    void phone.write(space, `${running.bpm} bpm`, [{ op: 'append', collection: 'samples', id: newId(), body: { t: Math.round(phone.wall()), bpm: running.bpm, workout: running.id } }]);
  };
  const toggle = () => {
    if (running) {
      clearInterval(running.timer);
      void phone.write(space, 'workout done', [{ op: 'patch', collection: 'workouts', id: running.id, body: { ended: Math.round(phone.wall()) } }]);
      running = null;
      phone.step('worked');
    } else {
      const id = newId();
      void phone.write(space, 'workout starts', [{ op: 'put', collection: 'workouts', id, body: { kind: KINDS[Math.floor(Math.random() * KINDS.length)], started: Math.round(phone.wall()), by: phone.who } }]);
      running = { id, bpm: 96, count: 0, timer: window.setInterval(sample, 1000) };
      sample();
    }
    draw();
  };
  const draw = onFrame(() => {
    start.textContent = running ? 'Stop' : 'Start a workout';
    start.classList.toggle('running', running !== null);
    const shown = [...(all.current()?.docs ?? [])].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, 12), taken = samples.current()?.docs ?? [];
    list.replaceChildren(...shown.map((doc) => {
      const own = taken.filter((one) => one.data.workout === doc.id), waits = own.filter((one) => one.pending === 'queued').length;
      const words = `${own.length} samples${waits > 0 ? `, ${waits} wait here` : ''}`;
      return h('article', { class: `workout ${doc.pending === 'queued' || waits > 0 ? 'pending' : ''}`, 'data-id': doc.id }, h('h2', {}, `${doc.data.kind} · ${doc.data.by === 'ben' ? 'Ben' : 'Ana'}`), h('p', {}, words), curve(own.map((one) => one.data)));
    }));
    if (shown.length === 0) list.replaceChildren(h('p', { class: 'empty' }, 'No workouts yet. Start one in airplane mode.'));
  });
  start.addEventListener('click', toggle);
  all.onSnapshot(draw);
  samples.onSnapshot(draw);
  draw();
  return { element: h('div', { class: 'app' }, h('p', { class: 'hint' }, 'Logged on the phone, a sample a second, online or not.'), list, h('p', { class: 'actions' }, start)) };
}
