// Builds what the browser gets: every entry in static/js and the beacon, minified, into static/build.
import { build } from "esbuild";
import { globSync } from "node:fs";

await build({
  entryPoints: [...globSync("static/js/*.js"), "static/rum/rum.js"],
  entryNames: "[name]",
  outdir: "static/build",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  conditions: ["production", "module"],
});
