/** Options as the core reads them. */

/** The same object with its own members renamed from `camelCase` to `snake_case`, and nothing below them; absent ones left out. */
export function snakeCase(options: object): Record<string, unknown> {
  const renamed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) renamed[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return renamed;
}
