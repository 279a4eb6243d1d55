// Makes the .vsix of one platform, with its server inside:
//
//   node package.mjs [--proposed] TARGET PROGRAM OUT
//   node package.mjs linux-x64 ../../target/release/countersign countersign-linux-x64.vsix
//
// --proposed asks for the proposed API that names the source of every change; the Marketplace refuses such a
// package, an organisation can install it. Package on Linux or macOS: on Windows the program would lose its
// executable bit. Everything is put together in a temporary directory.
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createVSIX } from '@vscode/vsce';

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const proposed = args[0] === '--proposed';
const [target, program, out] = args.slice(proposed ? 1 : 0);
if (!target || !out || !existsSync(program)) {
  console.error('usage: node package.mjs [--proposed] TARGET PROGRAM OUT');
  process.exit(2);
}
if (!existsSync(join(here, 'out/extension.js'))) {
  console.error('package.mjs: nothing is built yet: run `npm run build -- --minify` first');
  process.exit(3);
}
const stage = mkdtempSync(join(tmpdir(), 'countersign-vsix-'));
try {
  for (const name of ['README.md', 'media', 'out', '.vscodeignore']) {
    cpSync(join(here, name), join(stage, name), { recursive: true });
  }
  const manifest = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
  if (proposed) manifest.enabledApiProposals = ['textDocumentChangeReason'];
  writeFileSync(join(stage, 'package.json'), JSON.stringify(manifest, null, 2));
  const server = join(stage, 'server', target.startsWith('win32') ? 'countersign.exe' : 'countersign');
  mkdirSync(dirname(server));
  copyFileSync(program, server);
  chmodSync(server, 0o755);
  for (const licence of ['APACHE', 'MIT']) {
    copyFileSync(join(here, `../../LICENSE-${licence}`), join(stage, `server/LICENSE-${licence}`));
  }
  await createVSIX({
    cwd: stage,
    target,
    packagePath: resolve(out),
    dependencies: false,
    allowMissingRepository: true,
    skipLicense: true,
    allowProposedApis: manifest.enabledApiProposals ?? [],
  });
} finally {
  rmSync(stage, { recursive: true, force: true });
}
