// The addon of this platform.
delete process.env.KEYBOUND_NATIVE;
const { build } = await import('keybound');
if (build() !== 'addon') throw new Error('there is no addon for this platform');
await import('./conformance.mjs');
await import('./recorded.mjs');
