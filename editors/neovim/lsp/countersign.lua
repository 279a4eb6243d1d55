-- Neovim finds this file by itself: `vim.lsp.enable('countersign')` is all that is needed.
-- No `filetypes`: an audit trail is for every file, not for some languages.

---@type vim.lsp.Config
return {
  cmd = { 'countersign', 'lsp' },
  root_markers = { '.git' },
  handlers = {
    ['countersign/attributionChanged'] = function(_, params)
      require('countersign.authorship').changed(params.textDocument.uri)
    end,
  },
}
