// Sentences on record name options as Python writes them.

const OPTIONS = /\b(danger_accept_split_brain|danger_first_start|max_age|max_ahead|store_margin|wait_for_replicas)\b/g;

/** A vector whose sentences name options as JavaScript writes them. Its members keep their names. */
export function inCamelCase(vector) {
  if (typeof vector === 'string') return vector.replace(OPTIONS, (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()));
  if (Array.isArray(vector)) return vector.map(inCamelCase);
  if (vector === null || typeof vector !== 'object') return vector;
  return Object.fromEntries(Object.entries(vector).map(([name, value]) => [name, inCamelCase(value)]));
}
