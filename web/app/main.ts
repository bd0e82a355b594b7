/* The page around the phones: what to try, the two frames, and below them the picture of what travels. */
import { h, now, TITLES, type Report, type Who } from './dom.js';
import { Picture } from './picture.js';

const params = new URLSearchParams(location.search);
const room = /^[a-z0-9-]{1,24}$/.exec(params.get('room') ?? localStorage.getItem('tidegate-demo:room') ?? '')?.[0] ?? Math.random().toString(36).slice(2, 8);
localStorage.setItem('tidegate-demo:room', room);
const $ = <T extends HTMLElement = HTMLElement>(selector: string) => document.querySelector<T>(selector)!;
const people: Who[] = ['ana', 'ben'];

/* ---- what to try ---- */

const STEPS: [string, string][] = [
  ['said', 'Write a message on one phone, and watch its ticks on the other’s reading.'], ['pressed', 'Press + in both carts at once. Every press counts.'],
  ['offline', 'Put Ben into airplane mode, and go on changing things on both.'], ['back', 'Bring him back. Both phones show the same.'],
  ['conflict', 'Change the note on both while one is offline. You are asked.'], ['settled', 'Settle it. Nothing was thrown away.'],
  ['clock', 'Set a clock ten years wrong. Nobody wins by it.'], ['worked', 'Log a workout in airplane mode.'], ['killed', 'Kill a phone in the middle of something, and start it again.']];
const key = `tidegate-demo:steps:${room}`, done = new Set(JSON.parse(localStorage.getItem(key) ?? '[]') as string[]);
function showSteps(): void {
  $('#steps').replaceChildren(...STEPS.map(([step, text]) => h('li', { class: done.has(step) ? 'done' : '' }, done.has(step) && h('span', { class: 'sr' }, 'Done: '), text)));
  $('#count').textContent = `${STEPS.filter(([step]) => done.has(step)).length} of ${STEPS.length}`;
}
function tick(step: string): void {
  if (done.has(step)) return;
  done.add(step);
  localStorage.setItem(key, JSON.stringify([...done]));
  showSteps();
}

/* ---- the phones ---- */

const frames = new Map<Who, HTMLIFrameElement>();
function start(who: Who): void {
  const frame = h('iframe', { src: `/phone.html?who=${who}&room=${room}`, title: `${TITLES[who]}'s phone`, id: who });
  frames.set(who, frame);
  $(`#slot-${who}`).replaceChildren(frame);
}
/* The page of the phone goes at once, in the middle of whatever it did: its store is all that is left. */
function kill(who: Who): void {
  frames.delete(who);
  picture.gone(who);
  const again = h('button', { type: 'button', class: 'primary', onclick: () => start(who) }, 'Start it again');
  $(`#slot-${who}`).replaceChildren(h('div', { class: 'dead' }, h('p', {}, `${TITLES[who]}'s phone was killed.`), h('p', {}, 'What it had written is in its store.'), again));
  again.focus();
  tick('killed');
}

const picture = new Picture($('#picture'));
addEventListener('message', ({ data, origin }: MessageEvent<Report>) => {
  if (origin !== location.origin || !data?.tidegate) return;
  if (data.kind === 'step') tick(data.step);
  else if (data.kind === 'kill') kill(data.who);
  else picture.hear(data);
});

$('#room').textContent = room;
$('#copy').addEventListener('click', ({ currentTarget }) => {
  void navigator.clipboard?.writeText(`${location.origin}/?room=${room}`);
  (currentTarget as HTMLElement).textContent = 'Copied';
});
$('#fresh').addEventListener('click', () => { location.search = `?room=${Math.random().toString(36).slice(2, 8)}`; });
showSteps();
if (matchMedia('(max-width: 720px)').matches) $<HTMLDetailsElement>('.guide').open = false;
people.forEach(start);
void navigator.serviceWorker?.register('/sw.js').catch(() => { /* the demo works without */ });
Object.assign(window, { picture, started: now() });
