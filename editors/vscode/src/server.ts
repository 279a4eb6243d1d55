// Starts `countersign lsp`, keeps it running, and says so when it can't.
//
// A server that dies is started again after 1, 2, 4, 8 and 16 seconds; one that dies a sixth time within
// five minutes stays down, with one message.

import * as vscode from 'vscode';
import { CloseAction, ErrorAction, LanguageClient, State, Trace } from 'vscode-languageclient/node';
import type { CloseHandlerResult, ErrorHandler } from 'vscode-languageclient/node';
import { NoProgram, findProgram } from './binary';
import type { Attribution, Status, Suggestion } from './protocol';

const RESTARTS_MAX = 5;
const RESTARTS_WITHIN_MS = 5 * 60_000;

export class Server implements vscode.Disposable {
  private client: LanguageClient | undefined;
  private readonly log = vscode.window.createOutputChannel('Countersign', { log: true });
  private readonly statusEmitter = new vscode.EventEmitter<Status | undefined>();
  private readonly attributionEmitter = new vscode.EventEmitter<string>();
  /** What the server says of itself; nothing while there is none. */
  readonly onStatus = this.statusEmitter.event;
  /** The URI of a document whose lines have other writers now. */
  readonly onAttribution = this.attributionEmitter.event;

  constructor(private readonly context: vscode.ExtensionContext) {}

  async start(): Promise<void> {
    await this.stop();
    let program: string;
    try {
      program = findProgram(this.context);
    } catch (error) {
      if (!(error instanceof NoProgram)) throw error;
      this.statusEmitter.fire(undefined);
      this.log.error(error.message);
      void this.complain(error.message, 'Open Settings');
      return;
    }
    const client = new LanguageClient(
      'countersign',
      'Countersign',
      { command: program, args: ['lsp'] },
      {
        documentSelector: [{ scheme: 'file' }, { scheme: 'untitled' }, { scheme: 'vscode-remote' }],
        outputChannel: this.log,
        initializationOptions: settings(),
        synchronize: { configurationSection: 'countersign' },
        errorHandler: new Restarts((message) => {
          this.statusEmitter.fire(undefined);
          void this.complain(message, 'Show Log');
        }),
        initializationFailedHandler: (error: unknown) => {
          void this.complain(`Countersign's server does not answer: ${String(error)}`, 'Show Log');
          return false;
        },
      },
    );
    this.client = client;
    client.onNotification('countersign/statusChanged', (status: Status) => {
      this.statusEmitter.fire(status);
    });
    client.onNotification('countersign/attributionChanged', (changed: { textDocument: { uri: string } }) => {
      this.attributionEmitter.fire(changed.textDocument.uri);
    });
    client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) void this.askStatus();
      else if (newState === State.Stopped) this.statusEmitter.fire(undefined);
    });
    try {
      await client.start();
      await client.setTrace(Trace.fromString(vscode.workspace.getConfiguration('countersign').get('trace.server', 'off')));
    } catch (error) {
      this.log.error(`the server did not start: ${reason(error)}`);
      this.statusEmitter.fire(undefined);
      void this.complain(`Countersign could not start its server: ${reason(error)}`, 'Show Log');
    }
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client?.needsStop() === true) await client.stop(2000).catch(() => undefined);
  }

  get program(): string {
    return findProgram(this.context);
  }

  /** Tells what happened to a suggestion. Without a server nobody is told: what entered is unknown then. */
  tell(suggestion: Suggestion): void {
    if (this.client?.isRunning() !== true) return;
    this.client.sendNotification('countersign/suggestion', suggestion).catch((error: unknown) => {
      this.log.warn(`a suggestion could not be told: ${String(error)}`);
    });
  }

  async attribution(uri: vscode.Uri, range?: vscode.Range): Promise<Attribution | null> {
    const client = this.client;
    if (client?.isRunning() !== true) return null;
    return client.sendRequest<Attribution | null>('countersign/attribution', {
      textDocument: { uri: client.code2ProtocolConverter.asUri(uri) },
      ...(range ? { range: client.code2ProtocolConverter.asRange(range) } : {}),
    });
  }

  /** The URI as the server knows it. */
  uriOf(document: vscode.TextDocument): string {
    return this.client?.code2ProtocolConverter.asUri(document.uri) ?? document.uri.toString();
  }

  async ask(method: 'status' | 'pause' | 'resume', params: object = {}): Promise<void> {
    if (this.client?.isRunning() !== true) return;
    this.statusEmitter.fire(await this.client.sendRequest<Status>(`countersign/${method}`, params));
  }

  showLog(): void {
    this.log.show();
  }

  private async askStatus(): Promise<void> {
    await this.ask('status').catch((error: unknown) => {
      this.log.warn(`no status: ${String(error)}`);
    });
  }

  private async complain(message: string, button: 'Open Settings' | 'Show Log'): Promise<void> {
    const answer = await vscode.window.showErrorMessage(message, 'Restart', button);
    if (answer === 'Restart') await this.start();
    else if (answer === 'Show Log') this.showLog();
    else if (answer === 'Open Settings') {
      await vscode.commands.executeCommand('workbench.action.openSettings', 'countersign.server.path');
    }
  }

  dispose(): void {
    this.statusEmitter.dispose();
    this.attributionEmitter.dispose();
    this.log.dispose();
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the server reads at its start; it asks for the rest, and for changes. */
function settings(): Record<string, unknown> {
  const configuration = vscode.workspace.getConfiguration('countersign');
  return { hints: configuration.get('hints'), hintDelayMs: configuration.get('hintDelayMs') };
}

class Restarts implements ErrorHandler {
  private at: number[] = [];

  constructor(private readonly giveUp: (message: string) => void) {}

  error(): { action: ErrorAction } {
    return { action: ErrorAction.Continue };
  }

  async closed(): Promise<CloseHandlerResult> {
    const now = Date.now();
    this.at = [...this.at.filter((at) => now - at < RESTARTS_WITHIN_MS), now];
    if (this.at.length > RESTARTS_MAX) {
      this.giveUp(`Countersign's server stopped ${this.at.length} times in five minutes. Nothing is recorded now.`);
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 * 2 ** (this.at.length - 1)));
    return { action: CloseAction.Restart, handled: true };
  }
}
