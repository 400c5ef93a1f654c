--  Ada: tagged types, generics, exceptions, controlled objects, containers, tasks, protected objects, every end.
--  run: plain 3
--  run: raise
--  run: range
--  run: status
--  run: task
--  input: first line\n42\n
with Ada.Command_Line; use Ada.Command_Line;
with Ada.Containers.Ordered_Maps;
with Ada.Containers.Vectors;
with Ada.Exceptions; use Ada.Exceptions;
with Ada.Strings.Unbounded; use Ada.Strings.Unbounded;
with Ada.Text_IO; use Ada.Text_IO;
with Ada.Integer_Text_IO;
with Ada.Float_Text_IO;
with Shapes; use Shapes;

procedure Main is
   package Integer_Vectors is new Ada.Containers.Vectors (Positive, Integer);
   package Name_Maps is new Ada.Containers.Ordered_Maps (Unbounded_String, Integer);
   package Sorting is new Integer_Vectors.Generic_Sorting;
   Own_Error : exception;
   type Small is range 1 .. 10;
   type Colour is (Red, Green, Blue);

   function Mode return String is (if Argument_Count > 0 then Argument (1) else "");

   generic
      type Item is private;
      with function "+" (Left, Right : Item) return Item is <>;
   function Double (Value : Item) return Item;
   function Double (Value : Item) return Item is (Value + Value);
   function Twice is new Double (Integer);
   function Twice is new Double (Float);

   procedure Fail (Kind : Integer) is
      Guard : Noisy (Kind);
      List  : array (1 .. 3) of Integer := (others => Kind);
      Value : Small := 1;
   begin
      case Kind is
         when 1 => raise Own_Error with "raised by hand";
         when 2 => List (Kind + Argument_Count + 3) := 1;
         when 3 => Value := Small (Kind * Argument_Count + 7);
         when 4 => Value := Value / Small (Kind - 3) / Small (Argument_Count);
         when 5 => raise Constraint_Error;
         when others => null;
      end case;
      Put_Line (Integer'Image (List (1)) & Small'Image (Value));
   end Fail;

   protected Counter is
      procedure Add (By : Integer);
      entry Wait_For (Least : Integer);
      function Value return Integer;
   private
      Total : Integer := 0;
      Ready : Boolean := False;
   end Counter;
   protected body Counter is
      procedure Add (By : Integer) is
      begin
         Total := Total + By;
         Ready := Total >= 60;
      end Add;
      entry Wait_For (Least : Integer) when Ready is
      begin
         Total := Total + Least;
      end Wait_For;
      function Value return Integer is (Total);
   end Counter;

   task type Worker (Number : Integer) is
      entry Start (By : Integer);
      entry Result (Value : out Integer);
   end Worker;
   task body Worker is
      Step : Integer;
   begin
      accept Start (By : Integer) do
         Step := By;
      end Start;
      for I in 1 .. 10 loop
         Counter.Add (Step);
      end loop;
      if Mode = "task" then
         raise Own_Error with "inside a task";
      end if;
      accept Result (Value : out Integer) do
         Value := Step * Number;
      end Result;
   end Worker;

   Line : String (1 .. 80);
   Last : Natural;
   N    : Integer;
begin
   if Mode = "raise" then
      raise Own_Error with "nobody handles this";
   elsif Mode = "range" then
      Fail (Argument_Count + 1);
   elsif Mode = "status" then
      Set_Exit_Status (9);
      return;
   end if;
   Get_Line (Line, Last);
   Ada.Integer_Text_IO.Get (N);
   Put_Line (Line (1 .. Last) & Integer'Image (N) & Integer'Image (Argument_Count));
   for Kind in 0 .. 5 loop
      begin
         Fail (Kind);
      exception
         when E : Own_Error => Put_Line ("own: " & Exception_Message (E));
         when E : Constraint_Error => Put_Line ("constraint: " & Exception_Name (E) & " " & Exception_Message (E));
         when E : others => Put_Line ("other: " & Exception_Information (E));
      end;
   end loop;
   declare
      Things : Shape_List := (new Circle'(Make (2.0)), new Square'(Side => 3.0), new Circle'(Make (1.0)));
   begin
      for Thing of Things loop
         Put_Line (Thing.Name & " " & (if Thing.all in Circle then "round" else "not"));
         Ada.Float_Text_IO.Put (Thing.Area, Fore => 4, Aft => 2, Exp => 0);
         New_Line;
      end loop;
   end;
   declare
      V : Integer_Vectors.Vector;
      M : Name_Maps.Map;
   begin
      for I in 1 .. 10 loop
         V.Append ((I * 7) mod 11);
      end loop;
      Sorting.Sort (V);
      for E of V loop
         Put (Integer'Image (E));
      end loop;
      New_Line;
      for C in Colour loop
         M.Include (To_Unbounded_String (Colour'Image (C)), Colour'Pos (C));
      end loop;
      for C in M.Iterate loop
         Put (To_String (Name_Maps.Key (C)) & Integer'Image (Name_Maps.Element (C)) & " ");
      end loop;
      New_Line;
      Put_Line (Integer'Image (Twice (21)) & Integer'Image (Integer (Twice (1.5))));
      Put_Line (Colour'Image (Colour'Value ("blue")) & Integer'Image (V.Element (99)));
   exception
      when E : others => Put_Line (Exception_Name (E));
   end;
   declare
      A : Worker (1);
      B : Worker (2);
      R, S : Integer := 0;
   begin
      A.Start (2);
      B.Start (4);
      Counter.Wait_For (5);
      A.Result (R);
      B.Result (S);
      Put_Line (Integer'Image (R + S) & Integer'Image (Counter.Value));
   exception
      when Tasking_Error => Put_Line ("a task has gone");
   end;
   select
      Counter.Wait_For (0);
   or
      delay 0.01;
      Put_Line ("too slow");
   end select;
   Put_Line (Standard_Error, "on the error stream");
   Set_Exit_Status (Exit_Status (Argument_Count));
end Main;
