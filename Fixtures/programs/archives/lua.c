// Lua from its archive: pcall and coroutines over longjmp, strings, closures, errors with a traceback.
// run: script
// archives: liblua5.4.a
// libraries: -lm
// link: -ldl
#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>
#include <stdio.h>

static int add(lua_State *lua) { lua_pushnumber(lua, luaL_checknumber(lua, 1) + luaL_checknumber(lua, 2)); return 1; }
static const char *script =
  "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
  "print(fib(20), string.format('%5.2f|%s', math.pi, ('x'):rep(3)), add(1, 2.5))\n"
  "print(pcall(add, 1, {}))\n"
  "print(select(2, pcall(error, {code = 7})).code, select('#', pcall(error)))\n"
  "local co = coroutine.wrap(function(a) for i = 1, 3 do a = a + coroutine.yield(i * a) end return 'end' end)\n"
  "print(co(1), co(2), co(3), co(4))\n"
  "local t = setmetatable({}, {__index = function(_, k) return k .. '!' end, __gc = function() print('collected') end})\n"
  "print(t.hello, #'\\u{48}ello', 7 // 2, 1 << 40, 3 | 4, 10 / 4)\n"
  "for k in ('a=1, b=2'):gmatch('(%w+)=%w+') do io.write(k, ' ') end print()\n"
  "local ok, message = xpcall(function() local x = nil; return x.y end, function(m) return 'handled ' .. m end) print(ok, message)\n"
  "table.sort(arg or {}) print(table.concat({3, 1, 2}, '-'), os.time{year=2020, month=1, day=1, hour=12} > 0)\n"
  "goto done\n do print('never') end\n ::done:: return 40\n";
int main(void) {
  lua_State *lua = luaL_newstate();
  luaL_openlibs(lua);
  lua_register(lua, "add", add);
  if (luaL_dostring(lua, script)) { printf("error %s\n", lua_tostring(lua, -1)); return 1; }
  int value = (int)lua_tointeger(lua, -1), status = luaL_dostring(lua, "error('at top')");
  printf("%d %s\n", status, lua_tostring(lua, -1));
  lua_close(lua);
  return value + status;
}
