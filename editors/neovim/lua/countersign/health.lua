-- `:checkhealth countersign`: is this editor recorded, and if not, why not.

local M = {}

---@return string? version
local function version()
  if vim.fn.executable('countersign') == 0 then
    return nil
  end
  local result = vim.system({ 'countersign', '--version' }, { text = true, timeout = 5000 }):wait()
  return result.code == 0 and vim.trim(result.stdout) or nil
end

function M.check()
  local health = vim.health
  health.start('countersign')

  local found = version()
  if found then
    health.ok(found .. ' at ' .. vim.fn.exepath('countersign'))
  else
    health.error('no `countersign` that runs on PATH', { 'install it, or set `cmd` in vim.lsp.config' })
  end

  if vim.lsp.is_enabled('countersign') then
    health.ok('the language server is enabled')
  else
    health.warn('the language server is not enabled', { "vim.lsp.enable('countersign')" })
  end

  for _, client in ipairs(vim.lsp.get_clients({ method = 'textDocument/inlineCompletion' })) do
    local cmd = client.config.cmd
    if type(cmd) == 'table' and vim.list_contains(cmd, 'tap') then
      health.ok(client.name .. ' is tapped')
    else
      health.warn(client.name .. ' offers code and is not tapped', {
        "set its cmd to require('countersign').tap({ ... })",
      })
    end
  end

  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    local named = vim.bo[buffer].buftype == '' and vim.api.nvim_buf_get_name(buffer) ~= ''
    if vim.api.nvim_buf_is_loaded(buffer) and named and vim.bo[buffer].filetype == '' then
      health.warn(vim.api.nvim_buf_get_name(buffer) .. ' has no filetype, so no server attaches to it')
    end
  end
end

return M
