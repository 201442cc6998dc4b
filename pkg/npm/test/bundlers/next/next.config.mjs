export default {
  serverExternalPackages: ['keybound'],
  turbopack: { root: import.meta.dirname },
};
