with Ada.Finalization;

package Shapes is
   type Shape is interface;
   function Area (Self : Shape) return Float is abstract;
   function Name (Self : Shape) return String is abstract;
   type Circle is new Shape with private;
   function Make (Radius : Float) return Circle;
   overriding function Area (Self : Circle) return Float;
   overriding function Name (Self : Circle) return String;
   type Square is new Shape with record
      Side : Float;
   end record;
   overriding function Area (Self : Square) return Float;
   overriding function Name (Self : Square) return String;
   type Shape_List is array (Positive range <>) of access Shape'Class;
   type Noisy (Number : Integer) is new Ada.Finalization.Limited_Controlled with null record;
   overriding procedure Initialize (Self : in out Noisy);
   overriding procedure Finalize (Self : in out Noisy);
private
   type Circle is new Shape with record
      Radius : Float := 1.0;
   end record;
end Shapes;
