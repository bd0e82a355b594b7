/* Builds the package into dist/, and the demo into web/demo/.
 *
 *     node build.mjs            package and demo; prints the client's size, and fails past its bound
 *     node build.mjs --package  the package alone
 *     node build.mjs --check    likewise, and is the demo that is committed what these sources build? closes with "N passed, N failed"
 *     node build.mjs --tests    the unit tests, bundled for node into build/web-unit, and what the browser's tests render into build/web-pages
 */
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { minify } from 'terser';

const here = dirname(fileURLToPath(import.meta.url)), root = join(here, '../..'), app = join(root, 'web/app'), demo = join(root, 'web/demo');
const CLIENT_BYTES_MAX = 20000; // gzipped, minified
/* Members that no app, store, frame or message between tabs ever sees: their names may go. */
const INTERNAL = ['isFresh', 'isReady', 'isMarking', 'fromNothing', 'refusals', 'markSent', 'outboxSpaces', 'isTokenBad', 'notBefore', 'greeted', 'answered', 'stampOf',
  'isLater', 'isSameDevice', 'onFrames', 'onEnd', 'turn', 'sendFrame', 'touchDevice', 'documents', 'byId', 'stamps', 'revive', 'revOf', 'oldest', 'hereIn', 'stateOf',
  'listenTo', 'isLeading', 'isWanted', 'committed', 'touched', 'isLoaded', 'rescan',
  'isLive', 'fresh', 'later', 'drop', 'waiting', 'failed', 'floor', 'meet', 'welcome', 'elect', 'fork', 'refuse', 'become', 'exists',
  'host', 'times', 'edited', 'author', 'whole', 'fields', 'rulesOf', 'negative', 'exponent', 'digits', 'views', 'states', 'policy', 'isOpen', 'wanted', 'isThere', 'watch'];
const common = { bundle: true, format: 'esm', target: 'es2022', charset: 'utf8', logLevel: 'warning', absWorkingDir: here };

/* Fields that a constructor sets are not declared a second time. */
const small = { minifySyntax: true, tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } } };

const tsc = (project) => execFileSync(process.execPath, [join(here, 'node_modules/typescript/bin/tsc'), '-p', project], { stdio: 'inherit' });

async function buildPackage() {
  rmSync(join(here, 'dist'), { recursive: true, force: true });
  tsc(here);
  await build({ ...common, entryPoints: ['src/index.ts', 'src/memory.ts', 'src/react.ts', 'src/service-worker.ts'], outdir: 'dist', splitting: true, external: ['react'] });
  const { outputFiles: [whole] } = await build({ ...common, entryPoints: ['src/index.ts'], outfile: 'dist/tidegate.js', write: false, ...small });
  writeFileSync(join(here, 'dist/tidegate.js'), (await minify(whole.text, { module: true, ecma: 2022, compress: { passes: 3, keep_fargs: false, lhs_constants: false, loops: false, inline: 1, unsafe_arrows: true, unsafe_methods: true }, mangle: { properties: { regex: new RegExp(`^(${INTERNAL.join('|')})$`) } } })).code);
  const bytes = gzipSync(readFileSync(join(here, 'dist/tidegate.js')), { level: 9 }).length;
  console.log(`@tidegate/client: ${bytes} bytes gzipped, of at most ${CLIENT_BYTES_MAX}`);
  if (bytes > CLIENT_BYTES_MAX) throw new Error('the client has grown past its bound');
}

/* The demo imports the client from beside it, as any page would: the very file that the package ships. */
async function buildDemo() {
  const outputs = new Map();
  const add = async (options) => {
    for (const file of (await build({ ...common, ...options, write: false })).outputFiles) outputs.set(file.path.slice(demo.length + 1), Buffer.from(file.contents));
  };
  const beside = { name: 'beside', setup: (b) => b.onResolve({ filter: /^@tidegate\/client$/ }, () => ({ path: './tidegate.js', external: true })) };
  outputs.set('tidegate.js', readFileSync(join(here, 'dist/tidegate.js')));
  for (const [from, to] of [['main.ts', 'demo.js'], ['phone.ts', 'phone.js']]) await add({ entryPoints: [join(app, from)], outfile: join(demo, to), plugins: [beside] });
  const worker = { '@tidegate/client/service-worker': join(here, 'src/service-worker.ts') };
  await add({ entryPoints: [join(app, 'sw.ts')], outfile: join(demo, 'sw.js'), alias: worker, format: 'iife' });
  for (const name of readdirSync(app).filter((one) => /\.(html|css|svg)$/.test(one))) outputs.set(name, readFileSync(join(app, name)));
  return outputs;
}

if (process.argv.includes('--tests')) {
  const tests = readdirSync(join(here, 'test')).filter((name) => name.endsWith('.test.ts')).map((name) => join(here, 'test', name));
  rmSync(join(root, 'build/web-unit'), { recursive: true, force: true });
  // .mjs: no package.json is above them, and Node 18 takes a bare .js for CommonJS.
  await build({ ...common, entryPoints: tests, outdir: join(root, 'build/web-unit'), outExtension: { '.js': '.mjs' }, platform: 'node' });
  await build({ ...common, entryPoints: [join(here, 'test/react-page.ts')], outfile: join(root, 'build/web-pages/react-page.js'), format: 'iife', minify: true, define: { 'process.env.NODE_ENV': '"production"' } });
} else if (process.argv.includes('--package')) await buildPackage();
else if (process.argv.includes('--check')) {
  tsc(app);
  await buildPackage();
  const outputs = await buildDemo(), committed = readdirSync(demo);
  let failed = 0;
  for (const name of new Set([...outputs.keys(), ...committed])) {
    if (committed.includes(name) && outputs.get(name)?.equals(readFileSync(join(demo, name)))) continue;
    console.log(`web/demo/${name}: not what the sources build; make web mends it`);
    failed++;
  }
  console.log(`${outputs.size - Math.min(failed, outputs.size)} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
} else {
  tsc(app);
  await buildPackage();
  const outputs = await buildDemo();
  mkdirSync(demo, { recursive: true });
  for (const name of readdirSync(demo)) if (!outputs.has(name)) rmSync(join(demo, name));
  for (const [name, bytes] of outputs) writeFileSync(join(demo, name), bytes);
}
