// Marks beside the lines on the screen by who wrote them. Off until asked for; a person's lines have no mark.

import * as vscode from 'vscode';
import type { Line } from './protocol';
import type { Server } from './server';

const QUIET_MS = 150;
const MARKED = ['ai', 'mixed', 'unknown'] as const;

export class Authorship implements vscode.Disposable {
  private readonly marks = new Map(MARKED.map((author) => [author, mark(author)] as const));
  private readonly disposables: vscode.Disposable[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isOn = false;

  constructor(private readonly server: Server) {
    const soon = (): void => {
      this.soon();
    };
    this.disposables.push(
      vscode.window.onDidChangeVisibleTextEditors(soon),
      vscode.window.onDidChangeTextEditorVisibleRanges(soon),
      vscode.workspace.onDidChangeTextDocument(soon),
      server.onAttribution(soon),
    );
  }

  async toggle(): Promise<void> {
    this.isOn = !this.isOn;
    if (this.isOn) return this.draw();
    for (const editor of vscode.window.visibleTextEditors) {
      for (const mark of this.marks.values()) editor.setDecorations(mark, []);
    }
  }

  private soon(): void {
    if (!this.isOn) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      void this.draw();
    }, QUIET_MS);
  }

  private async draw(): Promise<void> {
    await Promise.all(vscode.window.visibleTextEditors.map((editor) => this.drawIn(editor)));
  }

  private async drawIn(editor: vscode.TextEditor): Promise<void> {
    const version = editor.document.version;
    const lines: Line[] = [];
    for (const range of editor.visibleRanges) {
      const answer = await this.server.attribution(editor.document.uri, range).catch(() => null);
      lines.push(...(answer?.lines ?? []));
    }
    if (!this.isOn || editor.document.version !== version) return; // an edit has asked again
    for (const [author, mark] of this.marks) {
      const its = lines.filter((line) => line.author === author);
      editor.setDecorations(
        mark,
        its.map((line) => ({ range: new vscode.Range(line.line, 0, line.line, 0), hoverMessage: describe(line) })),
      );
    }
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const disposable of [...this.disposables, ...this.marks.values()]) disposable.dispose();
  }
}

function mark(author: (typeof MARKED)[number]): vscode.TextEditorDecorationType {
  const color = new vscode.ThemeColor(`countersign.${author}Line`);
  return vscode.window.createTextEditorDecorationType({
    isWholeLine: true,
    borderWidth: '0 0 0 2px',
    borderStyle: author === 'unknown' ? 'dotted' : 'solid',
    borderColor: color,
    overviewRulerColor: color,
    overviewRulerLane: vscode.OverviewRulerLane.Left,
  });
}

function describe(line: Line): string {
  const names = { ai: 'an AI', human: 'a person', unknown: 'nobody knows whom' };
  const shares = line.shares.map(({ origin, share }) => `${Math.round(share * 100)} % by ${names[origin]}`);
  return `Written ${shares.join(', ')}; last by ${names[line.lastWriter.origin]}`;
}
