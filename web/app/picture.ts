/* What travels, as it is heard from the phones: each push with its times, the way it takes, and the promises counted.
 *
 * A push is told by (device, space, id). Its times: written (safe on the phone), sent, logged (its ack), resolved (its
 * outcome), seen (the other phone has it). All are read off one clock that both frames share.
 */
import { h, TITLES, type Report, type Who } from './dom.js';

interface Pushed {
  who: Who; device: string; space: string; id: number; label: string; began: number; written: number;
  sent?: number; logged?: number; resolved?: number; seen?: number; refused?: string; rev?: number; dot?: HTMLElement; shown: number;
}
interface Stand { connected: boolean; uploading: number; refused: number; device: string; spaces: Record<string, string> }

const ROWS = 9, KEPT = 400, STATIONS = ['Phone', 'Gateway', 'Log', 'Owner', 'Gateway', 'Phone'];
const STAGE_MS = 190, LOST_MS = 3000;
const SCALE: [number, string][] = [[1, '1 ms'], [10, '10 ms'], [100, '0.1 s'], [1000, '1 s'], [10000, '10 s']];

const place = (ms: number) => Math.min(100, Math.max(0, (Math.log10(Math.max(ms, 0.5) / 0.5) / Math.log10(60000 / 0.5)) * 100));
const words = (ms: number) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`);
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

export class Picture {
  private readonly pushes: Pushed[] = [];
  private readonly stands = new Map<Who, Stand>();
  private readonly applied = new Map<string, number>(); /* (device, space, push) -> rev */
  private readonly counters = { made: 0, logged: 0, applied: 0, refused: 0, seen: 0, resent: 0, doubled: 0 };
  private readonly way = h('div', { class: 'way', role: 'img', 'aria-label': 'From phone to gateway, log, owner, gateway, phone' });
  private readonly rows = h('ol', { class: 'pushes', 'aria-label': 'The latest changes and their times' });
  private readonly numbers = h('dl', { class: 'numbers' });
  private readonly wire = h('ol', { class: 'frames', tabindex: 0, 'aria-label': 'The latest frames' });
  private isAsked = false;

  constructor(element: HTMLElement) {
    STATIONS.forEach((name, i) => this.way.append(h('span', { class: `station s${i}` }, i === 0 ? 'Ana' : i === 5 ? 'Ben' : name)));
    element.append(this.way, h('div', { class: 'columns' },
      h('section', { 'aria-labelledby': 'h-changes' }, h('h3', { id: 'h-changes' }, 'Changes, and how long each took'), h('p', { class: 'legend' }, ...[['logged', 'safe in the log'], ['resolved', 'resolved'], ['seen', 'on the other phone']].map(([name, words]) => h('span', {}, h('i', { class: name }), words))), this.scale(), this.rows),
      h('section', { 'aria-labelledby': 'h-promises' }, h('h3', { id: 'h-promises' }, 'The promises, counted'), this.numbers),
      h('section', { 'aria-labelledby': 'h-frames' }, h('h3', { id: 'h-frames' }, 'On the wire'), this.wire)));
    setInterval(() => this.draw(), 1000);
    this.draw();
  }
  private scale(): HTMLElement {
    const scale = h('div', { class: 'scale', 'aria-hidden': 'true' });
    for (const [ms, name] of SCALE) {
      const mark = h('span', {}, name);
      mark.style.left = `${place(ms)}%`;
      scale.append(mark);
    }
    return scale;
  }

  hear(told: Report): void {
    if (told.kind === 'status') this.stand(told);
    else if (told.kind === 'written') this.written(told);
    else if (told.kind === 'frame') this.frame(told);
    this.later();
  }
  gone(who: Who): void { this.stands.delete(who); }

  private written({ who, at, space, id, label, began }: Extract<Report, { kind: 'written' }>): void {
    const device = this.stands.get(who)?.device ?? who;
    this.counters.made++;
    const known = this.pushes.find((one) => one.who === who && one.space === space && one.id === id); /* its push went out before it was told */
    if (known) Object.assign(known, { label, began, written: at });
    else this.keep({ who, device, space, id, label, began, written: at, shown: 0 });
  }
  private keep(push: Pushed): Pushed {
    this.pushes.unshift(push);
    for (const old of this.pushes.splice(KEPT)) old.dot?.remove();
    return push;
  }
  private of(who: Who, space: string, upTo: number, exact = false): Pushed[] {
    return this.pushes.filter((one) => one.who === who && one.space === space && (exact ? one.id === upTo : one.id <= upTo));
  }
  private frame({ who, at, isOut, text, frame }: Extract<Report, { kind: 'frame' }>): void {
    const { type, space, id } = frame as { type: string; space: string; id: number };
    this.wire.prepend(h('li', { class: who, title: text }, h('b', {}, `${TITLES[who]} ${isOut ? '↑' : '↓'} ${type} `), text.replace(/^\{"type":"\w+",?/, '').slice(0, 140)));
    while (this.wire.children.length > 40) this.wire.lastElementChild!.remove();
    if (isOut && type === 'push') {
      const [push] = this.of(who, space, id, true);
      if (push?.sent !== undefined) this.counters.resent++;
      else if (push) push.sent = at;
      else this.keep({ who, device: this.stands.get(who)?.device ?? who, space, id, label: this.labelOf(frame), began: at, written: at, sent: at, shown: 0 });
    } else if (!isOut && type === 'ack') {
      for (const push of this.of(who, space, id)) if (push.logged === undefined) {
        push.logged = at;
        this.counters.logged++;
      }
    } else if (!isOut && type === 'update') this.update(who, at, frame);
    else if (!isOut && type === 'result') {
      for (const push of this.of(who, space, id, true)) this.resolved(push, at, frame.status === 'applied' ? undefined : String(frame.code ?? frame.status));
    } else if (!isOut && type === 'page' && frame.more === false && frame.at === undefined) {
      for (const push of this.of(who, space, frame.pushed as number)) {
        const refused = (frame.refused as { id: number; code?: string; status: string }[] | undefined)?.find((one) => one.id === push.id);
        this.resolved(push, at, refused && (refused.code ?? refused.status));
      }
    } else if (!isOut && type === 'current') {
      for (const entry of frame.spaces as { space: string; pushed: number }[]) for (const push of this.of(who, entry.space, entry.pushed)) this.resolved(push, at, undefined);
    }
  }
  private labelOf(frame: Record<string, unknown>): string {
    const [op] = frame.ops as { op: string; collection: string; id: string }[];
    if (!op) return 'barrier';
    return op.collection === 'receipts' ? 'receipt' : `${op.op} ${op.collection}`;
  }
  private update(hearer: Who, at: number, frame: Record<string, unknown>): void {
    const { space, device, push, rev } = frame as { space: string; device: string; push: number; rev: number };
    const name = `${device} ${space} ${push}`, before = this.applied.get(name);
    if (before !== undefined && before !== rev) this.counters.doubled++;
    this.applied.set(name, rev);
    const found = this.pushes.find((one) => one.device === device && one.space === space && one.id === push);
    if (!found) return;
    found.rev = rev;
    if (found.who === hearer) this.resolved(found, at, undefined);
    else this.seen(found, at);
  }
  private resolved(push: Pushed, at: number, refused: string | undefined): void {
    if (push.resolved !== undefined) return;
    push.resolved = at;
    if (push.logged === undefined) {
      push.logged = at;
      this.counters.logged++;
    }
    if (refused !== undefined) push.refused = refused;
    this.counters[refused === undefined ? 'applied' : 'refused']++;
  }
  private seen(push: Pushed, at: number): void {
    if (push.seen !== undefined) return;
    push.seen = at;
    this.counters.seen++;
  }
  /* Two copies at one place are one: what either made is on the other. */
  private stand({ who, at, connected, uploading, refused, device, spaces }: Extract<Report, { kind: 'status' }>): void {
    this.stands.set(who, { connected, uploading, refused, device, spaces });
    for (const push of this.pushes) if (push.resolved !== undefined && push.seen === undefined && push.refused === undefined && this.isEqual(push.space)) this.seen(push, at);
  }
  private isEqual(space: string): boolean {
    const kind = Object.keys(this.stands.get('ana')?.spaces ?? {}).find((one) => space.startsWith(one)), [ana, ben] = [this.stands.get('ana'), this.stands.get('ben')];
    return kind !== undefined && ana?.spaces[kind] === ben?.spaces[kind];
  }

  private later(): void {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw();
    });
  }
  private draw(): void {
    const shown = this.pushes.filter((push) => push.label !== 'receipt').slice(0, ROWS);
    this.rows.replaceChildren(...shown.map((push) => this.row(push)));
    for (const push of this.pushes) if (push.dot || shown.indexOf(push) >= 0) this.travel(push);
    this.count();
  }
  private row(push: Pushed): HTMLElement {
    const track = h('div', { class: 'track', 'aria-hidden': 'true' }), said: string[] = [];
    for (const [stage, at, name] of [['logged', push.logged, 'log'], ['resolved', push.resolved, push.refused ?? 'resolved'], ['seen', push.seen, 'other phone']] as const) {
      if (at === undefined) continue;
      const ms = at - push.began, mark = h('i', { class: `${stage} ${stage === 'resolved' && push.refused ? 'refused' : ''}` });
      mark.style.left = `${place(ms)}%`;
      track.append(mark);
      said.push(`${name} ${words(ms)}`);
    }
    const text = said.length > 0 ? said.join(' · ') : this.stands.get(push.who)?.connected ? 'on its way' : 'waits on the phone';
    return h('li', { class: push.who }, h('span', { class: 'label' }, h('b', {}, TITLES[push.who]), ` ${push.label}`), track, h('small', {}, text));
  }
  /* A dot a push; the way is shown slower than it is gone. */
  private travel(push: Pushed): void {
    const reached = push.seen !== undefined ? 5 : push.resolved !== undefined ? 3 : push.logged !== undefined ? 2 : push.sent !== undefined ? 1 : 0;
    if (!push.dot && reached < 5 && document.visibilityState === 'visible') this.way.append((push.dot = h('i', { class: `dot ${push.who} at0` })));
    const { dot } = push;
    if (!dot || dot.dataset.moving || push.shown >= reached || push.shown >= 5) return;
    dot.dataset.moving = 'yes';
    setTimeout(() => {
      delete dot.dataset.moving;
      push.shown++;
      dot.className = `dot ${push.who} at${push.shown}`;
      if (push.shown === 5 || (push.refused !== undefined && push.shown >= 3)) {
        dot.classList.add('done');
        setTimeout(() => dot.remove(), 600);
        push.shown = 5;
      } else this.travel(push);
    }, STAGE_MS);
  }
  private count(): void {
    const stands = [...this.stands.values()], [ana, ben] = [this.stands.get('ana'), this.stands.get('ben')], kinds = Object.keys(ana?.spaces ?? {});
    const equal = kinds.filter((kind) => ben?.spaces[kind] === ana?.spaces[kind]).length, at = performance.timeOrigin + performance.now();
    const lost = this.pushes.filter((push) => push.resolved === undefined && at - push.written > LOST_MS && this.stands.get(push.who)?.uploading === 0).length;
    const times = this.pushes.filter((push) => push.seen !== undefined && push.sent !== undefined && push.sent - push.began < 50).map((push) => push.seen! - push.began);
    const { made, logged, applied, refused, seen, resent, doubled } = this.counters;
    const rows: [string, string | number, string?][] = [
      ['Changes made', made], ['Safe in the log', logged], ['Applied', applied], ['Refused, kept for their user', refused], ['On the other phone', seen],
      ['Waiting on the phones', stands.reduce((sum, one) => sum + one.uploading, 0)], ['Sent again', resent],
      ['Lost', lost, lost === 0 ? 'good' : 'bad'], ['Applied twice', doubled, doubled === 0 ? 'good' : 'bad'],
      ['Copies that agree', stands.length < 2 ? '–' : `${equal} of ${kinds.length}`, equal === kinds.length && stands.length === 2 ? 'good' : ''], ['Key press to other phone, median', times.length > 0 ? words(median(times)!) : '–']];
    this.numbers.replaceChildren(...rows.flatMap(([name, value, mood]) => [h('dt', {}, name), h('dd', { class: mood ?? '' }, String(value))]));
  }
}
