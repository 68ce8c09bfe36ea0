// Builds what the browser gets, minified: every script and style sheet of static into static/build, and telemetry's
// beacon. Each script ends with its debug id, which its source map has too. The maps are put into sourcemaps/, which
// nobody is served; `make sourcemaps` uploads them.
// With --watch, again whenever one of them changes.
import { build, context } from "esbuild";
import { createHash } from "node:crypto";
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";

// A UUID that the same code has on every machine.
const debugIdOf = (code) => {
  const hash = createHash("sha256").update(code).digest("hex");
  return [hash.slice(0, 8), hash.slice(8, 12), `4${hash.slice(13, 16)}`, `a${hash.slice(17, 20)}`, hash.slice(20, 32)].join("-");
};

const write = (path, text) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

const writeOutput = {
  name: "write-output",
  setup: ({ onEnd }) => onEnd(({ outputFiles = [] }) => {
    const ids = new Map();
    for (const { path, text } of outputFiles.filter((file) => !file.path.endsWith(".map"))) {
      if (path.endsWith(".js")) ids.set(`${path}.map`, debugIdOf(text));
      write(path, ids.has(`${path}.map`) ? `${text}//# debugId=${ids.get(`${path}.map`)}\n` : text);
    }
    for (const { path, text } of outputFiles.filter((file) => ids.has(file.path))) {
      const map = JSON.parse(text);
      const sources = map.sources.map((source) => relative("", resolve(dirname(path), source)));
      write(`sourcemaps/${basename(path)}`, JSON.stringify({ ...map, sources, debugId: ids.get(path), debug_id: ids.get(path) }));
    }
  }),
};

const options = {
  entryNames: "[name]",
  bundle: true,
  minify: true,
  sourcemap: "external",
  write: false,
  plugins: [writeOutput],
  format: "iife",
  target: ["es2022"],
  conditions: ["production", "module"],
};
const bundles = [
  { entryPoints: globSync("static/{js,css}/*.*"), outdir: "static/build" },
  // Beside its source: the wheel of telemetry holds it.
  {
    entryPoints: ["telemetry/static/telemetry/src/rum.js"],
    outdir: "telemetry/static/telemetry",
    nodePaths: ["node_modules"],
    mangleProps: /^_/, // as the library's own build does
  },
];
for (const bundle of bundles) {
  if (process.argv.includes("--watch")) await (await context({ ...options, ...bundle, logLevel: "info" })).watch();
  else await build({ ...options, ...bundle });
}
