/* React hooks over the client. Each gives what the device has at once, and renders again when it changes. */
import { useCallback, useMemo, useRef, useSyncExternalStore } from 'react';
import type { Client, Status } from './client.js';
import type { Refused } from './keeper.js';
import type { DocRef, Query, Space } from './space.js';
import type { Person } from './types.js';
import type { Doc, Snapshot } from './view.js';

/** The documents of a collection or query; null until the store has been read. Make the query outside the render, or with `useMemo`. */
export function useSnapshot<T extends object>(query: Query<T>): Snapshot<T> | null {
  const subscribe = useCallback((changed: () => void) => query.onSnapshot(changed, { includeMetadataChanges: true }), [query]);
  const read = useCallback(() => query.current(), [query]);
  return useSyncExternalStore(subscribe, read, read);
}

/** The documents of a collection of a space, by names. */
export function useCollection<T extends object>(space: Space, name: string): Snapshot<T> | null {
  return useSnapshot(useMemo(() => space.collection<T>(name), [space, name]));
}

/** One document; undefined while there is none. */
export function useDoc<T extends object>(ref: DocRef<T>): Doc<T> | undefined {
  const { space, collection, id } = ref;
  const held = useMemo(() => ref, [space, collection, id]);
  const subscribe = useCallback((changed: () => void) => held.onSnapshot(changed), [held]);
  const read = useCallback(() => held.current(), [held]);
  return useSyncExternalStore(subscribe, read, read);
}

/** How the device stands. */
export function useStatus(client: Client): Status {
  const subscribe = useCallback((changed: () => void) => client.onStatus(changed), [client]);
  const read = useCallback(() => client.status, [client]);
  return useSyncExternalStore(subscribe, read, read);
}

/** The refused pushes that wait to be settled. */
export function useRefused(client: Client): readonly Refused[] {
  const subscribe = useCallback((changed: () => void) => client.onRefused(changed), [client]);
  const read = useCallback(() => client.refused(), [client]);
  return useSyncExternalStore(subscribe, read, read);
}

/** Who is in a space that was opened with `presence`. */
export function usePresence(space: Space): { here: readonly Person[]; count: number } {
  const held = useRef(space.here());
  const subscribe = useCallback((changed: () => void) => space.onPresence((now) => {
    held.current = now;
    changed();
  }), [space]);
  const read = useCallback(() => held.current, []);
  return useSyncExternalStore(subscribe, read, read);
}
