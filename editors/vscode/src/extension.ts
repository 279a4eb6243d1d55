// Countersign in VS Code: starts the server, tells it what only the editor sees, and shows what it knows.
//
// Never: on the path of a keystroke, a telemetry of its own, a fact that is only guessed.

import type * as vscode from 'vscode';
import { Acceptances } from './acceptance';
import { Authorship } from './authorship';
import { register } from './commands';
import { Server } from './server';
import { StatusItem } from './status';

let server: Server | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  server = new Server(context);
  const authorship = new Authorship(server);
  const status = new StatusItem(server);
  const manifest = context.extension.packageJSON as { enabledApiProposals?: string[] };
  const acceptances = new Acceptances(server, manifest);
  context.subscriptions.push(server, authorship, status, acceptances, ...register(server, authorship, status));
  await server.start();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}
