-- Makes a manual page of one of docs/*.N.md, for pandoc: its first heading is the page's name and
-- section, tables are lists of terms, and links to other pages of docs are their words.

local function bold(code) return pandoc.Strong(pandoc.Str(code.text)) end

local function link(element)
  if element.target:match('^https?://') then return nil end
  return element.content
end

-- A row is a term and what it means; columns between them come first, each with its heading.
local function list(rows)
  local simple = pandoc.utils.to_simple_table(rows)
  local items = {}
  for _, row in ipairs(simple.rows) do
    local term = #row[1] > 0 and row[1][1].content or {}
    local blocks = {}
    for i = 2, #row - 1 do
      local words = pandoc.List(#simple.headers[i] > 0 and simple.headers[i][1].content or {})
      words:extend({pandoc.Str(':'), pandoc.Space()})
      words:extend(#row[i] > 0 and row[i][1].content or {})
      table.insert(blocks, pandoc.Plain(words))
    end
    for _, block in ipairs(row[#row]) do table.insert(blocks, block) end
    table.insert(items, {term, {blocks}})
  end
  return pandoc.DefinitionList(items)
end

local function page(document)
  local name, section = pandoc.utils.stringify(document.blocks[1]):match('^(.+)%((%d)%)$')
  if not name then error('the first heading is not NAME(SECTION)') end
  document.blocks:remove(1)
  document.meta.title, document.meta.section = name:upper(), section
  document.meta.header = section == '1' and 'User Commands' or 'System Administration'
  document.blocks = document.blocks:map(function(block)
    if block.t == 'Header' then block.level = block.level - 1 end
    return block
  end)
  document.blocks:insert(pandoc.Para(pandoc.Str(
    'The pages that have no section are in ' .. pandoc.utils.stringify(document.meta.folder) .. '.')))
  return document
end

return {{Code = bold, Link = link}, {Table = list}, {Pandoc = page}}
