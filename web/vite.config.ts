import { readFileSync } from "node:fs";
import { gzipAsync } from "@gfx/zopfli";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const TEXT = /\.(js|css|html|svg|txt)$/;
const SHIPPED = ["react", "react-dom", "scheduler", "uplot", "eventsource-parser", "@fontsource/young-serif", "@fontsource-variable/figtree"];

/** Writes every text a second time, compressed as far as gzip goes: the gateway sends that one. */
function compressed(): Plugin {
  return {
    name: "compressed",
    enforce: "post",
    generateBundle: {
      order: "post",
      async handler(_, bundle) {
        for (const [fileName, part] of Object.entries(bundle)) {
          if (!TEXT.test(fileName)) continue;
          const source = await gzipAsync(part.type === "chunk" ? part.code : part.source, { numiterations: 5 });
          this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source });
        }
      },
    },
  };
}

/** The chart has no styles of its own, and so nothing has to be loaded ahead of it: what Vite would add for that is left out. */
function lean(): Plugin {
  return {
    name: "lean",
    enforce: "pre",
    load: (id) => (id.includes("vite/preload-helper") ? "export const __vitePreload = (load) => load();" : null),
  };
}

/** What others have made and the page carries, with their terms. */
function licenses(): Plugin {
  const text = (name: string) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8")}`;
  return {
    name: "licenses",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: SHIPPED.map(text).join("\n\n----\n\n") });
    },
  };
}

export default defineConfig({
  plugins: [react(), lean(), licenses(), compressed()],
  build: {
    // Everything is a file of its own: the page's policy allows nothing inline.
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "baseline-widely-available",
    reportCompressedSize: false,
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  // `npm run dev` beside a gateway of one's own.
  server: { proxy: { "/v1": "http://127.0.0.1:8090", "/api": "http://127.0.0.1:8090" } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
