// Which program is the server: the setting, else the one beside us in the package, else the one on PATH.
// A setting that names nothing is an error, never a reason to run something else.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import * as vscode from 'vscode';

const NAME = process.platform === 'win32' ? 'countersign.exe' : 'countersign';
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export class NoProgram extends Error {}

export function findProgram(context: vscode.ExtensionContext): string {
  const chosen = vscode.workspace.getConfiguration('countersign').get<string>('server.path', '').trim();
  if (chosen !== '') {
    if (!isAbsolute(chosen)) throw new NoProgram(`countersign.server.path must be an absolute path: ${chosen}`);
    if (!existsSync(chosen)) throw new NoProgram(`There is no program at countersign.server.path: ${chosen}`);
    return chosen;
  }
  const places = [
    join(context.extensionPath, 'server'),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((place) => isAbsolute(place)),
  ];
  const found = places.map((place) => join(place, NAME)).find((program) => existsSync(program));
  if (found !== undefined) return found;
  throw new NoProgram(
    'Countersign is not on this machine: install the extension for your platform, or set countersign.server.path.',
  );
}

/** What a short command prints. Errors carry what it said on stderr. */
export async function output(program: string, args: string[], cwd: string | undefined): Promise<string> {
  const said = await promisify(execFile)(program, args, { cwd, maxBuffer: OUTPUT_BYTES_MAX, windowsHide: true });
  return said.stdout;
}
