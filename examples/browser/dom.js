// Building elements. Text is set as text, never as markup: what is shown comes from elsewhere.

/** The element with this id. */
export function at(id) {
  return document.getElementById(id);
}

/**
 * An element with attributes and children; a text is a child, and what is null or false is none.
 *
 * @param {string} name
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string | null | false)} children
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== false));
  return made;
}

/** A list of facts: names, and values that are texts or nodes. Values that are null are left out. */
export function facts(entries) {
  const list = element('dl', { class: 'facts' });
  for (const [name, value] of entries) {
    if (value === null || value === undefined || value === '') continue;
    list.append(element('dt', {}, name), element('dd', {}, typeof value === 'number' ? String(value) : value));
  }
  return list;
}

/** Shows nodes in a region, and brings its beginning into view: on a phone it is below the form. */
export function show(region, ...nodes) {
  region.replaceChildren(...nodes);
  if (nodes.length > 0) bringIntoView(region);
}

/** Scrolls only where less than the upper half of the window would show the beginning of `shown`. */
export function bringIntoView(shown) {
  const { top } = shown.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) shown.scrollIntoView({ block: 'start' });
}

/** A button that copies a text. */
export function copyButton(text) {
  const button = element('button', { type: 'button', class: 'quiet' }, 'Copy');
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
    setTimeout(() => (button.textContent = 'Copy'), 1500);
  });
  return button;
}

/** What was remembered under a name; null where there is nothing, or no storage. */
export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Remembers a text, where there is storage. */
export function remember(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch {
    // The page works without.
  }
}
