with Ada.Text_IO;

package body Shapes is
   Made : Integer := 0;
   function Make (Radius : Float) return Circle is
   begin
      Made := Made + 1;
      return (Radius => Radius);
   end Make;
   function Area (Self : Circle) return Float is (Self.Radius ** 2 * 3.0);
   function Name (Self : Circle) return String is ("circle" & Integer'Image (Made));
   function Area (Self : Square) return Float is (Self.Side ** 2);
   function Name (Self : Square) return String is ("square");
   procedure Initialize (Self : in out Noisy) is
   begin
      Ada.Text_IO.Put_Line ("+" & Integer'Image (Self.Number));
   end Initialize;
   procedure Finalize (Self : in out Noisy) is
   begin
      Ada.Text_IO.Put_Line ("-" & Integer'Image (Self.Number));
   end Finalize;
begin
   Ada.Text_IO.Put_Line ("shapes elaborated");
end Shapes;
