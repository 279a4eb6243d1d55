// That a person took or dismissed an inline suggestion of any extension.
//
// Two ways to know. VS Code itself names the source of every change where our manifest asks for the proposed
// API `textDocumentChangeReason`: then the tool, and in chat edits the model, are known too. Elsewhere
// the keys' own commands are run by ours, and what changes meanwhile is what was taken; whose suggestion it
// was is then not known, and is not guessed.
//
// A suggestion that also passes through `countersign tap` is recorded there: what is an AI's text already
// when we look again is not told a second time.

import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import type { Suggestion } from './protocol';
import type { Server } from './server';

/** The server looks three seconds back; the tap needs less than one. */
const TAP_MS = 1500;

type Act = 'accepted' | 'partial';
type Change = Pick<vscode.TextDocumentContentChangeEvent, 'range' | 'rangeOffset' | 'rangeLength' | 'text'>;
interface Reason {
  source: string;
  metadata: Record<string, unknown>;
}
/** Who is known to have offered it. */
type Source = Pick<Suggestion, 'tool' | 'toolVersion' | 'model'>;

/** Something that was taken, and is looked at again in a moment. It moves with the text. */
interface Taken {
  act: Act;
  document: vscode.TextDocument;
  change: Change;
  offset: number;
  source: Source;
}

const SOMEBODYS: Source = { tool: 'vscode-inline-suggestion' };

const ACTS: Record<string, Act | 'rejected'> = {
  commit: 'accepted',
  acceptNextWord: 'partial',
  acceptNextLine: 'partial',
  hide: 'rejected',
};

/** VS Code's names for changes that a person took from an AI. */
const REASONS: Record<string, Act> = {
  inlineCompletionAccept: 'accepted',
  inlineCompletionPartialAccept: 'partial',
  'Chat.applyEdits': 'accepted',
  'inlineChat.applyEdits': 'accepted',
};

export class Acceptances implements vscode.Disposable {
  private readonly disposables: vscode.Disposable[] = [];
  /** Changes of the command that is running; nothing between two. */
  private running: { document: vscode.TextDocument; changes: Change[] } | undefined;
  private readonly taken = new Set<Taken>();
  /** Whether VS Code names the source of every change here. */
  private readonly named: boolean;

  constructor(
    private readonly server: Server,
    manifest: { enabledApiProposals?: string[] },
  ) {
    this.named = manifest.enabledApiProposals?.includes('textDocumentChangeReason') ?? false;
    for (const name of Object.keys(ACTS)) {
      this.disposables.push(
        vscode.commands.registerCommand(`countersign.inlineSuggest.${name}`, () => this.run(name)),
      );
    }
    this.disposables.push(
      vscode.workspace.onDidChangeTextDocument((event) => {
        this.changed(event);
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('countersign.captureInlineSuggestKeys')) this.useKeys();
      }),
    );
    this.useKeys();
  }

  private useKeys(): void {
    const on = vscode.workspace.getConfiguration('countersign').get('captureInlineSuggestKeys', true);
    void vscode.commands.executeCommand('setContext', 'countersign.capturesKeys', on);
  }

  /** Runs VS Code's own command of this name, whatever becomes of our part. */
  private async run(name: string): Promise<void> {
    const document = vscode.window.activeTextEditor?.document;
    const running = document ? { document, changes: [] as Change[] } : undefined;
    this.running = running;
    try {
      await vscode.commands.executeCommand(`editor.action.inlineSuggest.${name}`);
    } finally {
      this.running = undefined;
    }
    if (running === undefined) return;
    const act = ACTS[name];
    if (act === 'rejected') {
      this.server.tell({
        event: act,
        id: randomUUID(),
        ...SOMEBODYS,
        textDocument: { uri: this.server.uriOf(running.document) },
      });
    } else if (act !== undefined && !this.named) {
      for (const change of running.changes) this.take(act, running.document, change, SOMEBODYS);
    }
  }

  private changed(event: vscode.TextDocumentChangeEvent): void {
    for (const change of event.contentChanges) this.shift(event.document, change);
    if (this.running?.document === event.document) this.running.changes.push(...event.contentChanges);
    const reason = this.named ? reasonOf(event) : undefined;
    if (reason === undefined) return;
    const act = REASONS[reason.source];
    if (act === undefined) return;
    for (const change of event.contentChanges) this.take(act, event.document, change, sourceOf(reason));
  }

  private take(act: Act, document: vscode.TextDocument, change: Change, source: Source): void {
    if (change.text === '') return;
    const taken: Taken = { act, document, change, offset: change.rangeOffset, source };
    this.taken.add(taken);
    setTimeout(() => {
      void this.settle(taken);
    }, TAP_MS);
  }

  /** Keeps what was taken where it is while the text before it changes. */
  private shift(document: vscode.TextDocument, change: Change): void {
    for (const taken of this.taken) {
      if (taken.document === document && change.rangeOffset + change.rangeLength <= taken.offset) {
        taken.offset += change.text.length - change.rangeLength;
      }
    }
  }

  /** Tells of it, unless somebody closer to the AI has done so. */
  private async settle(taken: Taken): Promise<void> {
    this.taken.delete(taken);
    if (await this.isKnown(taken)) return;
    const { act, document, change, source } = taken;
    const { start, end } = change.range;
    this.server.tell({
      event: act,
      id: randomUUID(),
      ...source,
      textDocument: { uri: this.server.uriOf(document) },
      range: { start, end },
      text: change.text,
    });
  }

  private async isKnown({ document, offset, change }: Taken): Promise<boolean> {
    if (document.isClosed) return false;
    // Blank text at its ends may be anybody's.
    const first = offset + (change.text.length - change.text.trimStart().length);
    const at = document.positionAt(first);
    try {
      const answer = await this.server.attribution(document.uri, new vscode.Range(at, at.translate(0, 1)));
      return answer?.spans.some((span) => span.origin === 'ai') ?? false;
    } catch {
      return false;
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) disposable.dispose();
  }
}

/** `detailedReason` of the proposed API, read with care: its shape is not promised. */
function reasonOf(event: vscode.TextDocumentChangeEvent): Reason | undefined {
  const reason: unknown = (event as { detailedReason?: unknown }).detailedReason;
  if (typeof reason !== 'object' || reason === null) return undefined;
  const { source, metadata } = reason as { source?: unknown; metadata?: unknown };
  if (typeof source !== 'string') return undefined;
  const details = typeof metadata === 'object' && metadata !== null ? metadata : reason;
  return { source, metadata: details as Record<string, unknown> };
}

function sourceOf({ source, metadata }: Reason): Source {
  const said = (name: string): string | undefined => {
    const value = metadata[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  const version = said('$extensionVersion');
  const model = said('$modelId');
  return {
    tool: said('$extensionId') ?? (source.includes('applyEdits') ? 'vscode-chat' : SOMEBODYS.tool),
    ...(version !== undefined ? { toolVersion: version } : {}),
    ...(model !== undefined ? { model: { requested: model } } : {}),
  };
}
