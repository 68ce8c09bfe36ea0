// Builds what the browser gets, minified: every entry in static/js into static/build, and telemetry's beacon.
import { build } from "esbuild";
import { globSync } from "node:fs";

const options = {
  entryNames: "[name]",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  conditions: ["production", "module"],
};
await build({ ...options, entryPoints: globSync("static/js/*.js"), outdir: "static/build" });
// Beside its source: the wheel of telemetry holds it.
await build({
  ...options,
  entryPoints: ["telemetry/static/telemetry/src/rum.js"],
  outdir: "telemetry/static/telemetry",
  nodePaths: ["node_modules"],
});
