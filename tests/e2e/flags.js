// How Chromium is started: without a sandbox, which root may not have, without anything it would fetch by itself, and
// with WebGL drawn by the processor.
exports.FLAGS = [
  '--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist',
];
