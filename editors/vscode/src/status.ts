// One item in the status bar: whether we record, and a menu of what can be done about it.

import * as vscode from 'vscode';
import type { Status } from './protocol';
import type { Server } from './server';

export class StatusItem implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('countersign', vscode.StatusBarAlignment.Left, 0);
  private readonly subscription: vscode.Disposable;
  private status: Status | undefined;

  constructor(server: Server) {
    this.item.name = 'Countersign';
    this.item.command = 'countersign.menu';
    this.subscription = server.onStatus((status) => {
      this.status = status;
      this.show();
    });
    this.show();
    this.item.show();
  }

  private show(): void {
    const { text, tooltip } = label(this.status);
    this.item.text = text;
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Countersign: ${tooltip}` };
  }

  async menu(): Promise<void> {
    const paused = this.status?.summary === 'paused';
    const items: (vscode.QuickPickItem & { command: string; argument?: number })[] = [
      ...(paused
        ? [{ label: '$(play) Resume recording', command: 'countersign.resumeRecording' }]
        : [
            { label: '$(debug-pause) Pause for 30 minutes', command: 'countersign.pauseRecording', argument: 30 },
            { label: '$(debug-pause) Pause until I resume', command: 'countersign.pauseRecording', argument: 0 },
          ]),
      { label: '$(account) Who wrote this line?', command: 'countersign.showLine' },
      { label: '$(list-flat) Show or hide authorship', command: 'countersign.toggleAuthorship' },
      { label: '$(eye) Show what would be sent', command: 'countersign.wouldSend' },
      { label: '$(history) Open the trail', command: 'countersign.openTrail' },
      { label: '$(gear) Set up this workspace', command: 'countersign.setupWorkspace' },
      { label: '$(output) Show the log', command: 'countersign.showLog' },
    ];
    const chosen = await vscode.window.showQuickPick(items, {
      title: 'Countersign',
      placeHolder: label(this.status).tooltip,
    });
    if (chosen) await vscode.commands.executeCommand(chosen.command, chosen.argument);
  }

  dispose(): void {
    this.subscription.dispose();
    this.item.dispose();
  }
}

function label(status: Status | undefined): { text: string; tooltip: string } {
  if (status === undefined) return { text: '$(circle-slash) Countersign', tooltip: 'no server: nothing is recorded' };
  const waiting = status.replay?.waiting ?? 0;
  switch (status.summary) {
    case 'recording':
      return { text: '$(record) Countersign', tooltip: 'recording' };
    case 'paused': {
      const until = status.until === undefined ? 'until you resume' : `until ${time(status.until)}`;
      return { text: '$(debug-pause) Countersign', tooltip: `paused ${until}` };
    }
    case 'offline':
      return {
        text: `$(cloud-offline) ${waiting}`,
        tooltip: `recording; the collector is out of reach, ${waiting} events wait on this machine`,
      };
    default:
      return { text: '$(warning) Countersign', tooltip: trouble(status) };
  }
}

function trouble({ problem, replay, summary }: Status): string {
  const said = [problem, replay?.problem, replay?.hint].filter((part) => part !== undefined);
  return said.length > 0 ? said.join('; ') : summary;
}

function time(at: string): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}
