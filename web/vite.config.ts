import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const SERVER = 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [svelte()],
  // The Python package serves the page from here; nothing built is committed.
  build: { outDir: '../src/tapewatch/api/static', emptyOutDir: true, target: 'es2023', chunkSizeWarningLimit: 800 },
  server: {
    proxy: {
      '/api': SERVER,
      '/health': SERVER,
      '/ws': { target: SERVER.replace(/^http/, 'ws'), ws: true },
    },
  },
  test: { include: ['test/unit/**/*.test.ts'] },
});
