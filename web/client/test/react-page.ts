/* A page part made with the React entry; tests/browser renders it in a real page. */
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import type { Client, Space } from '../src/index.js';
import { useCollection, useDoc, useRefused, useStatus } from '../src/react.js';

function Summary({ client, space }: { client: Client; space: Space }) {
  const messages = useCollection(space, 'messages'), tea = useDoc(space.doc<{ n: number }>('reactions/tea')), status = useStatus(client), refused = useRefused(client);
  return `${messages?.docs.length ?? '?'} messages, tea ${tea?.data.n ?? '-'}, ${status.connected ? 'connected' : 'offline'}, ${refused.length} refused`;
}

Object.assign(globalThis, {
  renderWith(client: Client, space: Space) {
    const element = document.createElement('p');
    element.id = 'react';
    document.body.append(element);
    createRoot(element).render(createElement(Summary, { client, space }));
  },
});
