-- `:Countersign`. Loads nothing until it is used.

local commands = {
  authorship = function()
    require('countersign.authorship').toggle()
  end,
}

vim.api.nvim_create_user_command('Countersign', function(call)
  local run = commands[call.args]
  if run then
    run()
  else
    vim.notify('countersign: no such command: ' .. call.args, vim.log.levels.ERROR)
  end
end, {
  nargs = 1,
  complete = function(lead)
    return vim.tbl_filter(function(name)
      return vim.startswith(name, lead)
    end, vim.tbl_keys(commands))
  end,
  desc = 'Who wrote which line',
})
