// Another vendor's AI extension: whatever line the caret is on, it completes what the line begins with.
const vscode = require('vscode');

const COMPLETIONS = {
  'def run(command):': '\n    return subprocess.run(command, shell=True)',
  'total = ': 'first + second + third',
  nothing: ' = "that anybody wants"',
};

exports.activate = () => {
  vscode.languages.registerInlineCompletionItemProvider({ scheme: 'file' }, {
    provideInlineCompletionItems(document, position) {
      const line = document.lineAt(position.line).text.slice(0, position.character);
      const text = COMPLETIONS[line];
      return text === undefined ? [] : [new vscode.InlineCompletionItem(text, new vscode.Range(position, position))];
    },
  });
};
