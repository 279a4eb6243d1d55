// What can be asked by name. Answers of the command line are shown in read-only documents, as they are.

import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { Authorship } from './authorship';
import { output } from './binary';
import type { Server } from './server';
import type { StatusItem } from './status';

const SCHEME = 'countersign';

export function register(server: Server, authorship: Authorship, status: StatusItem): vscode.Disposable[] {
  const pages = new Pages(server);
  const handlers: Record<string, (argument?: unknown) => unknown> = {
    showLine: () => vscode.commands.executeCommand('editor.action.showHover', { focus: 'autoFocusImmediately' }),
    toggleAuthorship: () => authorship.toggle(),
    // The server's own commands are called countersign.pause and countersign.resume.
    pauseRecording: async (minutes) => {
      const chosen = typeof minutes === 'number' ? minutes : await askMinutes();
      if (chosen !== undefined) await server.ask('pause', chosen > 0 ? { minutes: chosen } : {});
    },
    resumeRecording: () => server.ask('resume'),
    wouldSend: () => pages.open('what would be sent', ['log', '--would-send']),
    openTrail: () => pages.open('the trail', ['log']),
    setupWorkspace: () => {
      setup(server);
    },
    restart: () => server.start(),
    showLog: () => {
      server.showLog();
    },
    menu: () => status.menu(),
  };
  return [
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, pages),
    ...Object.entries(handlers).map(([name, handler]) =>
      vscode.commands.registerCommand(`countersign.${name}`, handler),
    ),
  ];
}

/** How long, in minutes; 0 until somebody resumes. Nothing when the person changed their mind. */
async function askMinutes(): Promise<number | undefined> {
  const choices = [
    { label: '30 minutes', minutes: 30 },
    { label: '2 hours', minutes: 120 },
    { label: 'Until I resume', minutes: 0 },
  ];
  return (await vscode.window.showQuickPick(choices, { title: 'Pause recording for how long?' }))?.minutes;
}

/** Lets the person see and confirm what `setup` would change, in a terminal of their own. */
function setup(server: Server): void {
  const folder = vscode.workspace.workspaceFolders?.[0];
  const terminal = vscode.window.createTerminal({
    name: 'Countersign setup',
    shellPath: server.program,
    shellArgs: ['setup', 'git'],
    ...(folder ? { cwd: folder.uri } : {}),
  });
  terminal.show();
}

/** Read-only documents with the output of a command. */
class Pages implements vscode.TextDocumentContentProvider {
  constructor(private readonly server: Server) {}

  async open(title: string, args: string[]): Promise<void> {
    const uri = vscode.Uri.from({ scheme: SCHEME, path: title, query: JSON.stringify({ args, at: Date.now() }) });
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const { args } = JSON.parse(uri.query) as { args: string[] };
    const active = vscode.window.activeTextEditor?.document.uri;
    const cwd = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? (active?.scheme === 'file' ? dirname(active.fsPath) : undefined);
    try {
      return (await output(this.server.program, args, cwd)) || 'Nothing yet.\n';
    } catch (error) {
      return `${error instanceof Error ? error.message : String(error)}\n`;
    }
  }
}
