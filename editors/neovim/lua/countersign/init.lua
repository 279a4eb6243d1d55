-- What a configuration needs from us. There is no setup(): see `:help countersign`.

local M = {}

---@class countersign.TapOpts
---@field tool? string Name of the AI tool, where its own stream does not say it
---@field program? string Path of the `countersign` program (default: from PATH)

--- Puts the tap before the command of an AI server, so that what it offers is recorded.
---
--- ```lua
--- vim.lsp.config('copilot', {
---   cmd = require('countersign').tap({ 'copilot-language-server', '--stdio' }),
--- })
--- ```
---@param cmd string[] Command of the AI server, as it would stand without us
---@param opts? countersign.TapOpts
---@return string[]
function M.tap(cmd, opts)
  vim.validate('cmd', cmd, vim.islist, 'a list of strings')
  vim.validate('opts', opts, 'table', true)
  opts = opts or {}
  local tapped = { opts.program or 'countersign', 'tap' }
  if opts.tool then
    vim.list_extend(tapped, { '--tool', opts.tool })
  end
  table.insert(tapped, '--')
  return vim.list_extend(tapped, cmd)
end

return M
