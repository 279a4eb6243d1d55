// The shapes of ../PROTOCOL.md, as far as this extension uses them. What it does not know it ignores.

import type { Position, Range } from 'vscode-languageclient';

export interface Suggestion {
  event: 'shown' | 'accepted' | 'partial' | 'rejected';
  id: string;
  tool: string;
  toolVersion?: string;
  textDocument: { uri: string };
  range?: Range;
  text?: string;
  model?: { requested?: string; responded?: string };
  reason?: 'dismissed' | 'ignored' | 'superseded' | 'typed_over';
}

export type Origin = 'ai' | 'human' | 'unknown';

export interface Writer {
  origin: Origin;
  contribution?: string;
  how?: string;
}

export interface Line {
  line: number;
  author: Origin | 'mixed';
  lastWriter: Writer;
  shares: (Writer & { share: number })[];
}

export interface Attribution {
  version: number | null;
  synchronised: boolean;
  pending: boolean;
  spans: ({ range: { start: Position; end: Position } } & Writer)[];
  lines: Line[];
  summary: Record<Line['author'], number>;
}

export interface Status {
  state: string;
  summary: string;
  until?: string;
  problem?: string;
  replay?: { state: string; waiting: number; problem?: string; hint?: string };
  unsynchronised: string[];
  documents: number;
}
