/* One phone: a device with a store of its own, in a page of its own, so that to kill it is to kill it.
 * Around the screen are the switches that make its life hard; in it one app a tab, each on a space of its own kind.
 */
import { createClient, type Client, type OperationInput, type Space, type Write } from '@tidegate/client';
import { chat } from './chat.js';
import { cart } from './cart.js';
import { h, icon, now, onFrame, other, ROOMS, TITLES, type Report, type Who } from './dom.js';
import { note } from './note.js';
import { todos } from './todos.js';
import { workout } from './workout.js';

const params = new URLSearchParams(location.search);
const room = params.get('room') ?? 'demo';
const who: Who = params.get('who') === 'ben' ? 'ben' : 'ana';
const YEARS_MS = 10 * 365.25 * 86400_000, SLOW_MS = 900;

type Told = Report extends infer R ? (R extends Report ? Omit<R, 'tidegate' | 'who' | 'at'> : never) : never;
function report(told: Told): void {
  if (window.parent !== window) window.parent.postMessage({ tidegate: true, who, at: now(), ...told }, location.origin);
}

/* A network that takes its time, both ways and in order. */
class SlowSocket extends WebSocket {
  override send(data: string): void {
    const go = () => { if (this.readyState === WebSocket.OPEN) super.send(data); };
    if (settings.slow) setTimeout(go, SLOW_MS);
    else go();
  }
  override set onmessage(listener: ((this: WebSocket, event: MessageEvent) => unknown) | null) {
    let due = 0;
    super.onmessage = listener && ((event) => {
      due = Math.max(due, now() + (settings.slow ? SLOW_MS : 0));
      if (due <= now()) listener.call(this, event);
      else setTimeout(() => { if (this.readyState === WebSocket.OPEN) listener.call(this, event); }, due - now());
    });
  }
}

interface Settings { airplane: boolean; slow: boolean; clock: boolean }
const settingsKey = `tidegate-demo:${room}:${who}`;
const settings: Settings = { airplane: false, slow: false, clock: false, ...JSON.parse(localStorage.getItem(settingsKey) ?? '{}') as Partial<Settings> };
const wall = () => Date.now() + (settings.clock ? YEARS_MS : 0);

/** What the apps on the phone share. */
export interface Phone {
  who: Who; client: Client; me: string; them: string; theirName: string;
  /** Writes that are not in the store yet. */
  writing: number;
  space(kind: string): Space;
  write(space: Space, label: string, operations: OperationInput[]): Promise<Write | null>;
  step(name: string): void;
  wall(): number;
}
export interface App { element: HTMLElement; badge?: () => number; shown?: (isShown: boolean) => void }

const user = `${who}-${room}`;
const client = createClient({
  name: user, backgroundSync: true, autoConnect: !settings.airplane, clock: { mono: () => performance.now(), wall }, WebSocket: SlowSocket,
  getToken: async () => {
    const response = await fetch(`/dev/token?user=${user}`);
    return ((await response.json()) as { token: string }).token;
  },
  onFrame: ({ isOut, text, frame }) => report({ kind: 'frame', isOut, text: text.slice(0, 1200), frame: (frame ?? JSON.parse(text)) as Record<string, unknown> }),
});

const phone: Phone = {
  who, client, me: user, them: `${other(who)}-${room}`, theirName: TITLES[other(who)], writing: 0, wall,
  space: (kind) => (kind.startsWith('chat') ? client.space(`${kind}-${room}`, { presence: true }) : client.space(`${kind}:ana-${room}`)),
  async write(space, label, operations) {
    const began = now();
    phone.writing++;
    try {
      const write = await space.write(operations);
      report({ kind: 'written', space: write.space, id: write.id, label, began });
      return write;
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
      return null;
    } finally {
      phone.writing--;
    }
  },
  step: (step) => report({ kind: 'step', step }),
};

/* Ana makes the rooms and shares what is hers with Ben: documents like any other. */
const GOODS: [string, string, number][] = [['tea', 'Green tea', 4.2], ['bread', 'Rye bread', 3.1], ['pears', 'Pears', 2.75], ['honey', 'Honey', 6.5]];
async function found(): Promise<void> {
  await client.waitForFirstSync();
  const ben = `ben-${room}`, share: OperationInput = { op: 'put', collection: 'members', id: ben, body: { role: 'writer' } };
  const isNew = (space: Space, path: string) => space.doc(path).get().then((doc) => doc === undefined);
  for (const [kind, title] of ROOMS) {
    const space = phone.space(`chat:${kind}`);
    if (await isNew(space, 'room/settings')) await phone.write(space, `room ${title}`, [{ op: 'put', collection: 'room', id: 'settings', body: { title, join: 'open' } }]);
  }
  const shared: [string, OperationInput[]][] = [
    ['cart', GOODS.map(([id, name, price]) => ({ op: 'put', collection: 'items', id, body: { name, qty: 1, price } }))],
    ['todos', [['1-tent', 'Borrow the tent', false], ['2-map', 'Print the map', true]].map(([id, title, done]) => ({ op: 'put', collection: 'todos', id: id as string, body: { title, done } }))],
    ['notes', [{ op: 'put', collection: 'notes', id: 'trip', body: { title: 'Trip', text: 'Ask whether the bakery is open on Sunday.' } }]],
    ['workouts', []]];
  for (const [kind, operations] of shared) if (await isNew(phone.space(kind), `members/${ben}`)) await phone.write(phone.space(kind), `shares ${kind}`, [share, ...operations]);
}

/* ---- the page ---- */

const live = h('p', { class: 'sr', role: 'status', 'aria-live': 'polite' });
const toast = h('p', { class: 'toast', hidden: true });
function say(text: string): void {
  live.textContent = toast.textContent = text;
  toast.hidden = false;
  setTimeout(() => { toast.hidden = true; }, 4000);
}

function toggle(name: keyof Settings, label: string, hint: string, apply: () => void): HTMLElement {
  const button = h('button', { class: `toggle ${name}`, type: 'button', role: 'switch', 'aria-checked': String(settings[name]), title: hint }, icon({ airplane: 'plane', slow: 'slow', clock: 'clock' }[name], 17), h('span', {}, label));
  button.addEventListener('click', () => {
    settings[name] = !settings[name];
    button.setAttribute('aria-checked', String(settings[name]));
    localStorage.setItem(settingsKey, JSON.stringify(settings));
    apply();
    draw();
  });
  return button;
}

const title = TITLES[who];
const controls = h('div', { class: 'controls', role: 'group', 'aria-label': `What ${title}'s phone has to bear` },
  toggle('airplane', 'Airplane', 'No network at all', () => {
    if (settings.airplane) client.disconnect();
    else client.connect();
    phone.step(settings.airplane ? 'offline' : 'back');
  }),
  toggle('slow', 'Slow', 'Everything takes almost a second each way', () => phone.step('slow')),
  toggle('clock', '+10 years', 'The clock of this phone is ten years wrong', () => phone.step('clock')),
  h('button', { class: 'kill', type: 'button', hidden: window.parent === window, title: 'Kills the app at once, whatever it is doing', onclick: () => report({ kind: 'kill' }) }, icon('kill', 17), h('span', {}, 'Kill')));

const TABS = [['chat', 'Chat', chat], ['cart', 'Cart', cart], ['todos', 'To-dos', todos], ['note', 'Note', note], ['workout', 'Workout', workout]] as const;
const time = h('time', {}), state = h('span', { class: 'state' }), outbox = h('span', { class: 'outbox', hidden: true });
const apps = new Map<string, App>();
const panels = h('div', { class: 'panels' }), tabs = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Apps' });
let current = params.get('tab') ?? 'chat';

function choose(name: string, isFocused = false): void {
  current = name;
  for (const [id] of TABS) {
    const isShown = id === name, tab = document.getElementById(`tab-${id}`)!;
    tab.setAttribute('aria-selected', String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    if (isShown && isFocused) tab.focus();
    document.getElementById(`panel-${id}`)!.hidden = !isShown;
    apps.get(id)?.shown?.(isShown);
  }
  history.replaceState(null, '', `?${new URLSearchParams({ who, room, tab: name })}`);
}
function build(): void {
  TABS.forEach(([id, label, make], i) => {
    const app = make(phone);
    apps.set(id, app);
    const tab = h('button', { id: `tab-${id}`, type: 'button', role: 'tab', 'aria-controls': `panel-${id}`, onclick: () => choose(id) }, icon(id, 21), h('span', {}, label), h('b', { class: 'badge', hidden: true }));
    tab.addEventListener('keydown', ({ key }) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (by) choose(TABS[(i + by + TABS.length) % TABS.length]![0], true);
    });
    tabs.append(tab);
    panels.append(h('div', { id: `panel-${id}`, role: 'tabpanel', 'aria-labelledby': `tab-${id}`, class: 'panel' }, app.element));
  });
  document.body.dataset.who = who;
  document.title = `${title}'s phone`;
  document.querySelector('main')!.append(controls, h('div', { class: 'case' }, h('div', { class: 'screen' },
    h('header', {}, time, h('h1', {}, h('span', { class: 'avatar', 'aria-hidden': 'true' }, title[0]!), `${title}'s phone`), state), outbox, panels, tabs, toast)), live);
}
export const draw = onFrame(() => {
  const { connected, uploading, paused, error } = client.status, at = new Date(wall());
  const text = paused ? 'airplane' : !connected ? 'searching' : settings.slow ? 'slow' : 'online';
  if (state.textContent !== text) state.textContent = text;
  state.className = `state ${text}`;
  state.title = error?.message ?? '';
  time.textContent = `${at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })}${settings.clock ? ` ${at.getFullYear()}` : ''}`;
  time.classList.toggle('wrong', settings.clock);
  outbox.hidden = uploading === 0 || connected;
  outbox.textContent = `${uploading} ${uploading === 1 ? 'change waits' : 'changes wait'} for the network`;
  document.body.classList.toggle('offline', !connected);
  for (const [id, app] of apps) {
    const count = app.badge?.() ?? 0, badge = document.querySelector<HTMLElement>(`#tab-${id} .badge`)!;
    badge.hidden = count === 0;
    badge.textContent = String(count);
  }
  const spaces: Record<string, string> = {};
  for (const kind of ['chat:house', 'chat:trip', 'cart', 'todos', 'notes', 'workouts']) {
    const { cursor, sums } = phone.space(kind).position;
    spaces[kind] = `${cursor} ${JSON.stringify(Object.entries(sums).filter(([, sum]) => !/^0*$/.test(sum)).sort())}`;
  }
  report({ kind: 'status', connected, uploading, refused: client.refused().length, device: client.deviceId, spaces });
});

build();
for (const kind of ['cart', 'todos', 'notes', 'workouts']) phone.space(kind);
choose(TABS.some(([id]) => id === current) ? current : 'chat');
client.onStatus(draw);
client.onOutcome(draw);
client.onRefused((refused) => {
  /* Conflicts are settled in the note; anything else is said, and let go. */
  for (const one of refused) if (one.status !== 'conflict' && one.code !== 'conflict') {
    say(`Not accepted: ${one.message || one.code}`);
    void client.dismiss(one.key);
  }
  draw();
});
setInterval(draw, 1000);
draw();
if (who === 'ana') void client.ready.then(found);
Object.assign(window, { phone });
