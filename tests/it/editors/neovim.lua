-- The person at the keyboard: types, accepts a suggestion, changes it, saves. Run by neovim.rs.
--
-- Everything runs in Neovim's real main loop, keys included: the script is a coroutine that gives
-- the loop back while it waits, and never sleeps. It leaves a report (JSON) and quits.

local report_file, plugin, recording, file = unpack(vim.split(vim.env.COUNTERSIGN_SCENARIO, '\n'))
local report = { steps = {} }

local function leave()
  vim.fn.writefile({ vim.json.encode(report) }, report_file)
  vim.cmd.qall({ bang = true })
end

--- Waits for a condition; the deadline is the whole test's, in neovim.rs.
---@param what string
---@param condition fun(): any
---@return any the condition's first true value
local function wait(what, condition)
  report.waiting_for = what
  vim.fn.writefile({ vim.json.encode(report) }, report_file)
  local timer, here = assert(vim.uv.new_timer()), coroutine.running()
  local finished = false
  timer:start(0, 10, vim.schedule_wrap(function()
    local ok, value = pcall(condition)
    if finished or (ok and not value) then
      return
    end
    finished = true
    timer:stop()
    timer:close()
    local went, trouble = coroutine.resume(here, ok, value)
    if not went then
      report.error = trouble
      leave()
    end
  end))
  local ok, value = coroutine.yield()
  assert(ok, value)
  table.insert(report.steps, what)
  report.waiting_for = nil
  return value
end

--- Types keys as a person would; returns when Neovim has taken all of them.
---@param keys string
local function type_keys(keys)
  vim.g.keys_taken = false
  vim.api.nvim_feedkeys(vim.keycode(keys .. '<Cmd>let g:keys_taken = v:true<CR>'), 't', false)
  wait('keys ' .. keys, function()
    return vim.g.keys_taken
  end)
end

---@return string
local function text()
  return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
end

local function scenario()
  vim.opt.runtimepath:prepend(plugin)
  vim.cmd('filetype on')
  vim.lsp.enable('countersign')
  vim.lsp.config('stand-in', {
    cmd = require('countersign').tap({ 'countersign', 'demo-server', recording }),
    filetypes = { 'python' },
    root_markers = { '.git' },
  })
  vim.lsp.enable('stand-in')
  vim.lsp.inline_completion.enable()

  vim.cmd.edit(file)
  wait('both servers', function()
    local names = {}
    for _, client in ipairs(vim.lsp.get_clients({ bufnr = 0 })) do
      names[client.name] = client.initialized
    end
    return names.countersign and names['stand-in']
  end)

  vim.bo.indentexpr = '' -- the indent is typed, not guessed by the runtime's version of the day
  type_keys('Godef run(command):<CR>    ')
  local shown = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
  wait('a suggestion on the screen', function()
    return #vim.api.nvim_buf_get_extmarks(0, shown, 0, -1, {}) > 0
  end)
  report.before = text()
  assert(vim.lsp.inline_completion.get(), 'nothing to accept')
  wait('the accepted text', function()
    return text():find('shell=True', 1, true)
  end)
  report.accepted = text()

  type_keys('<Esc>/True)<CR>cwFalse<Esc>')
  report.edited = text()
  vim.cmd.write()
  report.cursor = vim.api.nvim_win_get_cursor(0)
  local diagnostics = wait('a diagnostic of ours', function()
    local ours = vim.tbl_filter(function(diagnostic)
      return diagnostic.source == 'countersign'
    end, vim.diagnostic.get(0))
    return #ours > 0 and ours
  end)
  report.diagnostics = vim.tbl_map(function(diagnostic)
    return {
      line = diagnostic.lnum,
      end_line = diagnostic.end_lnum,
      code = diagnostic.code,
      severity = vim.diagnostic.severity[diagnostic.severity],
      message = diagnostic.message,
    }
  end, diagnostics)

  local client = vim.lsp.get_clients({ name = 'countersign' })[1]
  client:request('textDocument/hover', {
    textDocument = vim.lsp.util.make_text_document_params(0),
    position = { line = diagnostics[1].lnum, character = diagnostics[1].col },
  }, function(problem, result)
    report.hover = problem or result or vim.NIL
  end, 0)
  wait('hover', function()
    return report.hover ~= nil
  end)

  -- Who wrote which line, while somebody asks for it.
  vim.cmd.runtime('plugin/countersign.lua')
  local function signs()
    local found = {}
    local space = vim.api.nvim_create_namespace('countersign.authorship')
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
      found[mark[2] + 1] = vim.trim(mark[4].sign_text)
    end
    local text = {}
    for line = 1, vim.api.nvim_buf_line_count(0) do
      table.insert(text, found[line] or '-')
    end
    return table.concat(text)
  end
  report.signs = { signs() }
  vim.cmd('Countersign authorship')
  wait('signs', function()
    return signs() == '?HM'
  end)
  type_keys('Goprint(1)<Esc>')
  wait('a sign at the new line', function()
    return signs() == '?HMH'
  end)
  type_keys('ggdd')
  wait('signs that moved', function()
    return signs() == 'HMH'
  end)
  vim.cmd('Countersign authorship')
  table.insert(report.signs, signs())
  type_keys('u')
  table.insert(report.signs, signs())

  for _, attached in ipairs(vim.lsp.get_clients()) do
    attached:stop()
  end
  wait('both servers gone', function()
    return #vim.lsp.get_clients() == 0
  end)
end

coroutine.wrap(function()
  local ok, trouble = xpcall(scenario, debug.traceback)
  if not ok then
    report.error = trouble
  end
  leave()
end)()
