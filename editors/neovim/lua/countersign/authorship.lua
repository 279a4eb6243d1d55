-- Who wrote which line, as a sign beside it: of the lines on the screen, and only where somebody asked.

local M = {}

local namespace = vim.api.nvim_create_namespace('countersign.authorship')
local QUIET_MS = 100

local signs = {
  ai = { 'A', 'CountersignAi', 'DiagnosticSignInfo' },
  human = { 'H', 'CountersignHuman', 'DiagnosticSignOk' },
  mixed = { 'M', 'CountersignMixed', 'DiagnosticSignWarn' },
  unknown = { '?', 'CountersignUnknown', 'NonText' },
}

--- Buffers that are shown, each with its group of autocommands.
---@type table<integer, integer>
local shown = {}

---@param buffer integer
---@return vim.lsp.Client?
local function server(buffer)
  return vim.lsp.get_clients({ bufnr = buffer, name = 'countersign' })[1]
end

--- The lines on the screen, from 0: the first and the last.
---@param buffer integer
---@return integer? first
---@return integer? last
local function on_screen(buffer)
  local first, last
  for _, window in ipairs(vim.fn.win_findbuf(buffer)) do
    local top, bottom = vim.fn.line('w0', window) - 1, vim.fn.line('w$', window) - 1
    first, last = math.min(first or top, top), math.max(last or bottom, bottom)
  end
  return first, last
end

---@param buffer integer
---@param lines { line: integer, author: string }[]
local function draw(buffer, lines)
  vim.api.nvim_buf_clear_namespace(buffer, namespace, 0, -1)
  local count = vim.api.nvim_buf_line_count(buffer)
  for _, line in ipairs(lines) do
    local sign = signs[line.author]
    if sign and line.line < count then
      vim.api.nvim_buf_set_extmark(buffer, namespace, line.line, 0, {
        sign_text = sign[1],
        sign_hl_group = sign[2],
        priority = 1, -- a diagnostic matters more
      })
    end
  end
end

--- Asks for the lines on the screen and draws what is answered.
---@param buffer integer
local function refresh(buffer)
  local client = server(buffer)
  local first, last = on_screen(buffer)
  if not (shown[buffer] and client and first) then
    return
  end
  local tick = vim.api.nvim_buf_get_changedtick(buffer)
  client:request('countersign/attribution', {
    textDocument = vim.lsp.util.make_text_document_params(buffer),
    range = { start = { line = first, character = 0 }, ['end'] = { line = last, character = 0 } },
  }, function(problem, answer)
    local is_old = not vim.api.nvim_buf_is_valid(buffer) or vim.api.nvim_buf_get_changedtick(buffer) ~= tick
    if problem or not answer or not shown[buffer] or is_old then
      return -- whatever made it old asks again
    end
    draw(buffer, answer.lines)
  end, buffer)
end

--- Shows who wrote what in a buffer.
---@param buffer? integer
function M.show(buffer)
  buffer = buffer or vim.api.nvim_get_current_buf()
  if shown[buffer] then
    return
  end
  if not server(buffer) then
    vim.notify('countersign: no server is attached to this buffer, see :checkhealth countersign', vim.log.levels.WARN)
    return
  end
  for _, sign in pairs(signs) do
    vim.api.nvim_set_hl(0, sign[2], { link = sign[3], default = true })
  end
  local group = vim.api.nvim_create_augroup('countersign.authorship.' .. buffer, {})
  shown[buffer] = group
  local waiting = 0
  vim.api.nvim_create_autocmd({ 'TextChanged', 'TextChangedI', 'TextChangedP', 'BufWinEnter', 'WinScrolled' }, {
    group = group,
    callback = function(event)
      -- Of a scrolled window only its number is told.
      if event.event ~= 'WinScrolled' and event.buf ~= buffer then
        return
      end
      waiting = waiting + 1
      local this = waiting
      vim.defer_fn(function()
        if this == waiting then
          refresh(buffer)
        end
      end, QUIET_MS)
    end,
  })
  vim.api.nvim_create_autocmd({ 'BufUnload', 'LspDetach' }, {
    group = group,
    buffer = buffer,
    callback = function(event)
      local client = event.data and vim.lsp.get_client_by_id(event.data.client_id)
      if event.event == 'BufUnload' or (client and client.name == 'countersign') then
        M.hide(buffer)
      end
    end,
  })
  refresh(buffer)
end

--- Takes the signs away.
---@param buffer? integer
function M.hide(buffer)
  buffer = buffer or vim.api.nvim_get_current_buf()
  if shown[buffer] then
    vim.api.nvim_del_augroup_by_id(shown[buffer])
    shown[buffer] = nil
  end
  if vim.api.nvim_buf_is_loaded(buffer) then
    vim.api.nvim_buf_clear_namespace(buffer, namespace, 0, -1)
  end
end

--- Shows who wrote what in the current buffer, or no longer.
function M.toggle()
  local buffer = vim.api.nvim_get_current_buf()
  if shown[buffer] then
    M.hide(buffer)
  else
    M.show(buffer)
  end
end

--- The server found out more about who wrote a document.
---@param uri string
function M.changed(uri)
  for buffer in pairs(shown) do
    if vim.uri_from_bufnr(buffer) == uri then
      refresh(buffer)
    end
  end
end

return M
