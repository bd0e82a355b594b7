/* A list that draws only what is seen: ten thousand rows scroll as ten do. Rows may be of any height.
 *
 * Heights are estimated until a row has been drawn, then remembered by its key. Whoever is at the end stays there as rows
 * are added; whoever reads further up keeps his place.
 */
import { h } from './dom.js';

export interface Row { key: string; render: () => HTMLElement; version: string }

const ESTIMATE = 46, AROUND = 400;

export class VirtualList {
  readonly element: HTMLElement;
  private readonly body = h('div', { class: 'rows', role: 'list' });
  private rows: Row[] = [];
  private readonly heights = new Map<string, number>();
  private readonly drawn = new Map<string, { element: HTMLElement; version: string }>();
  private tops: number[] = [0];
  private isAtEnd = true;
  /** Called when the first rows come into sight. */
  onStart: () => void = () => {};

  constructor(label: string, className: string, private readonly empty: string) {
    this.element = h('div', { class: `scroll ${className}`, tabindex: 0, role: 'region', 'aria-label': label }, this.body);
    this.element.addEventListener('scroll', () => {
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

  show(rows: Row[]): void {
    const anchor = this.isAtEnd ? null : this.anchor();
    this.rows = rows;
    this.measure();
    this.draw();
    if (this.isAtEnd) this.toEnd();
    else if (anchor) {
      const at = rows.findIndex((row) => row.key === anchor.key);
      if (at >= 0) this.element.scrollTop = this.tops[at]! + anchor.offset;
    }
  }
  toEnd(): void {
    for (let tries = 0; tries < 3; tries++) { /* heights become known as rows are drawn */
      this.element.scrollTop = this.element.scrollHeight;
      if (!this.draw()) break;
    }
    this.element.scrollTop = this.element.scrollHeight;
    this.isAtEnd = true;
  }

  private anchor(): { key: string; offset: number } | null {
    const at = this.at(this.element.scrollTop), row = this.rows[at];
    return row ? { key: row.key, offset: this.element.scrollTop - this.tops[at]! } : null;
  }
  private measure(): void {
    this.tops = new Array<number>(this.rows.length + 1);
    let top = 0;
    this.rows.forEach((row, i) => {
      this.tops[i] = top;
      top += this.heights.get(row.key) ?? ESTIMATE;
    });
    this.tops[this.rows.length] = top;
  }
  private at(y: number): number {
    let low = 0, high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle]! <= y) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }
  /* True if a height came out other than was thought. */
  private draw(): boolean {
    if (this.rows.length === 0) {
      this.drawn.clear();
      this.body.replaceChildren(h('p', { class: 'empty' }, this.empty));
      this.body.style.height = '';
      return false;
    }
    const { scrollTop, clientHeight } = this.element, first = this.at(scrollTop - AROUND), last = this.at(scrollTop + clientHeight + AROUND);
    const wanted = new Map(this.rows.slice(first, last + 1).map((row, i) => [row.key, first + i]));
    for (const [key, { element }] of this.drawn) if (!wanted.has(key)) {
      element.remove();
      this.drawn.delete(key);
    }
    if (this.body.firstElementChild?.className === 'empty') this.body.replaceChildren();
    let before: HTMLElement | null = null;
    for (const [key, i] of wanted) {
      const row = this.rows[i]!, held = this.drawn.get(key);
      let element = held?.element;
      if (!held || held.version !== row.version) {
        const made = row.render();
        made.classList.add('row');
        made.setAttribute('role', 'listitem');
        made.setAttribute('aria-setsize', String(this.rows.length));
        if (element) element.replaceWith(made);
        element = made;
        this.drawn.set(key, { element, version: row.version });
      }
      element!.setAttribute('aria-posinset', String(i + 1));
      const follows: Element | null = before ? before.nextElementSibling : this.body.firstElementChild;
      if (follows !== element) this.body.insertBefore(element!, follows);
      before = element!;
    }
    let isOff = false;
    for (const [key] of wanted) {
      const height = this.drawn.get(key)!.element.offsetHeight;
      if (height > 0 && this.heights.get(key) !== height) {
        isOff ||= (this.heights.get(key) ?? ESTIMATE) !== height;
        this.heights.set(key, height);
      }
    }
    if (isOff) this.measure();
    for (const [key, i] of wanted) this.drawn.get(key)!.element.style.transform = `translateY(${this.tops[i]}px)`;
    this.body.style.height = `${this.tops[this.rows.length]}px`;
    return isOff;
  }
}
