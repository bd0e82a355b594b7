/* Elements by function call, and the one place where the page's parts agree on names. */

type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;

/** An element: properties by name, `on…` as listeners, the rest as attributes. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false || value === null) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    else if (name === 'class') element.className = String(value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return element;
}

/** An SVG element. */
export function svg(tag: string, attributes: Record<string, string | number>, ...children: Node[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

const ICONS: Record<string, string> = {
  chat: 'M4 5h16v11H9l-5 4z', cart: 'M3 4h3l2 11h10l2-8H7M9 20h.01M17 20h.01', todos: 'M4 7l2 2 3-4M4 15l2 2 3-4M13 7h7M13 16h7', note: 'M6 3h9l4 4v14H6zM9 10h7M9 14h7',
  workout: 'M3 12h4l3-7 4 14 3-7h4', plane: 'M12 3l2 7 8 4v2l-8-2-1 5 2 2v1l-3-1-3 1v-1l2-2-1-5-8 2v-2l8-4z', slow: 'M5 18a8 8 0 1 1 14 0M12 14l4-5', clock: 'M12 4a8 8 0 1 0 .01 0M12 8v5l3 2', kill: 'M12 3v9M6.5 6.5a8 8 0 1 0 11 0',
  wait: 'M12 4a8 8 0 1 0 .01 0M12 8v5l3 2', one: 'M5 13l4 4L19 7', two: 'M2 13l4 4L16 7M11 16l1 1L22 7', send: 'M4 12l16-8-5 16-3-7z', trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
};

/** A drawn icon, silent to screen readers. */
export function icon(name: string, size = 20): SVGElement {
  return svg('svg', { viewBox: '0 0 24 24', width: size, height: size, fill: 'none', stroke: 'currentColor', 'stroke-width': 2, 'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true' },
    svg('path', { d: ICONS[name]! }));
}

/** Renders at most once a frame. */
export function onFrame(render: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      render();
    });
  };
}

/** ms since 1970 by a clock that both frames share and that does not jump. */
export const now = (): number => performance.timeOrigin + performance.now();

export type Who = 'ana' | 'ben';
export const TITLES: Record<Who, string> = { ana: 'Ana', ben: 'Ben' };
/** The chat rooms: the space's name, and the title. */
export const ROOMS: [string, string][] = [['house', 'Tea house'], ['trip', 'Weekend trip']];
export const other = (who: Who): Who => (who === 'ana' ? 'ben' : 'ana');

/** What a phone tells the page around it. */
export type Report = { tidegate: true; who: Who; at: number } & (
  | { kind: 'frame'; isOut: boolean; text: string; frame: Record<string, unknown> }
  | { kind: 'written'; space: string; id: number; label: string; began: number }
  | { kind: 'status'; connected: boolean; uploading: number; refused: number; device: string; spaces: Record<string, string> }
  | { kind: 'step'; step: string }
  | { kind: 'kill' });
