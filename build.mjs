// Builds what the browser gets, minified: every script and style sheet of static into static/build, and telemetry's
// beacon.
// With --watch, again whenever one of them changes.
import { build, context } from "esbuild";
import { globSync } from "node:fs";

const options = {
  entryNames: "[name]",
  bundle: true,
  minify: true,
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
